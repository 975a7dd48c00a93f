"""Which policy a VM gets: KubeVirt's rule, read a second time from the source and compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.model import MigrationPolicy
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.parse import parse_migration_policy
from ansible_collections.ocpv.scale.plugins.module_utils.migration.policies.precedence import (
    matches,
    settings_for,
    with_policy,
)
from hypothesis import given
from hypothesis import strategies as st
from unit.plugins.module_utils.rebalance.builders import settings, vm

MIB = 1024**2
Labels = Mapping[str, str]


def policy(name: str, vmi: Labels | None = None, namespace: Labels | None = None, **spec: object) -> MigrationPolicy:
    return MigrationPolicy(name, vmi, namespace, spec)


def by_the_source(policies: Sequence[MigrationPolicy], labels: Labels, space: Labels) -> str | None:
    """The rule as matchPolicy walks through it, one policy after the other, for an instance with labels."""
    best: tuple[int, int] | None = None
    equal: list[str] = []
    for each in policies:
        if each.vmi_labels is None and each.namespace_labels is None:
            continue
        own = of_space = 0
        fits = True
        for key, value in (each.vmi_labels or {}).items():
            if labels.get(key) == value:
                own += 1
            else:
                fits = False
        for key, value in (each.namespace_labels or {}).items():
            if space.get(key) == value:
                of_space += 1
            else:
                fits = False
        if not fits:
            continue
        score = (own + of_space, own)
        if best is None or score > best:
            best, equal = score, [each.name]
        elif score == best:
            equal.append(each.name)
    return min(equal) if equal else None


LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xy"), max_size=3)
POLICIES = st.lists(
    st.builds(policy, st.text("pqr-", min_size=1, max_size=3), st.none() | LABELS, st.none() | LABELS),
    max_size=6,
    unique_by=lambda each: each.name,
)


@given(policies=POLICIES, labels=LABELS, space=LABELS)
def test_the_winner_is_the_one_of_the_source(policies: list[MigrationPolicy], labels: Labels, space: Labels) -> None:
    found = matches(policies, labels, space)
    assert (found[0].policy.name if found else None) == by_the_source(policies, labels, space)


@given(policies=POLICIES, labels=LABELS, space=LABELS, random=st.randoms(use_true_random=False))
def test_the_order_is_total_and_does_not_depend_on_the_list(policies, labels, space, random) -> None:
    found = [match.policy.name for match in matches(policies, labels, space)]
    shuffled = list(policies)
    random.shuffle(shuffled)
    assert [match.policy.name for match in matches(shuffled, labels, space)] == found
    # without the winner the next one wins
    rest = [each for each in policies if found[:1] != [each.name]]
    assert [match.policy.name for match in matches(rest, labels, space)] == found[1:]


def test_the_policy_with_most_matching_labels_wins() -> None:
    machine = vm("a", "one", labels={"workload": "db", "team": "x"})
    space = {"env": "prod"}
    one = policy("b-one", {"workload": "db"}, completionTimeoutPerGiB=1)
    two = policy("c-two", {"workload": "db"}, {"env": "prod"}, completionTimeoutPerGiB=2)
    tie = policy("a-tie", {"team": "x"}, completionTimeoutPerGiB=3)
    other = policy("d", {"workload": "web"}, completionTimeoutPerGiB=4)
    none = policy("e", completionTimeoutPerGiB=5)
    every = policy("f", {}, {}, completionTimeoutPerGiB=6)

    def timeout(*policies: MigrationPolicy) -> int:
        return settings_for(machine, settings(), policies, space).completion_timeout_per_gib

    assert timeout(one, two, other) == 2
    assert timeout(one, tie) == 3
    assert timeout(other, none) == 150
    assert timeout(every, other) == 6
    assert timeout(every, one) == 1


def test_of_as_many_labels_those_of_the_vm_count_more() -> None:
    on_vm, on_space = policy("z", {"a": "x", "b": "x"}), policy("a", {"a": "x"}, {"c": "x"})
    assert matches([on_space, on_vm], {"a": "x", "b": "x"}, {"c": "x"})[0].policy.name == "z"


@pytest.mark.parametrize(
    ("spec", "everything"),
    [({}, False), ({"selectors": {}}, True), ({"selectors": {"namespaceSelector": {}}}, True)],
)
def test_empty_selectors_match_everything_and_none_match_nothing(spec: dict[str, object], everything: bool) -> None:
    parsed = parse_migration_policy({"metadata": {"name": "p"}, "spec": spec})
    assert bool(matches([parsed], {"a": "x"}, {})) is everything


def test_post_copy_of_a_policy_brings_disruption_unless_it_says_otherwise() -> None:
    got = with_policy(settings(), policy("p", {}, allowPostCopy=True))
    assert got.allow_post_copy and got.allow_workload_disruption
    got = with_policy(settings(), policy("p", {}, allowPostCopy=True, allowWorkloadDisruption=False))
    assert got.allow_post_copy and not got.allow_workload_disruption


@pytest.mark.parametrize(
    ("quantity", "in_force"), [("64Mi", 64 * MIB), ("100k", MIB), ("0", 0), ("1.6Mi", 2 * MIB), (64 * MIB, 64 * MIB)]
)
def test_bandwidth_is_in_whole_mebibytes(quantity: object, in_force: int) -> None:
    got = with_policy(settings(), policy("p", {}, bandwidthPerMigration=quantity))
    assert got.bandwidth_bytes_per_second == in_force


def test_without_a_policy_the_settings_are_the_cluster_s() -> None:
    assert with_policy(settings(), None) == settings()
