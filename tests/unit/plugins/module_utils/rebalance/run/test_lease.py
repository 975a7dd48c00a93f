"""The Lease that keeps two runs apart, played with clocks that only move when told to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils import names
from ansible_collections.ocpv.scale.plugins.module_utils.errors import Forbidden, InvalidInput, NotFound, Unreachable
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.run.lease import Lease, LeaseTaken, LeaseUncertain
from unit.plugins.module_utils.rebalance.run.played import PlayedCluster

KEY = ("leases", "ocpv-scale", names.LEASE)


class World:
    """One cluster, several holders, one time."""

    def __init__(self) -> None:
        self.cluster = PlayedCluster()
        self.seconds = 0.0
        self.others: list[Lease] = []

    def lease(self, identity: str, duration: int = 30) -> Lease:
        return Lease(
            self.cluster,
            "ocpv-scale",
            identity,
            duration,
            clock=lambda: self.seconds,
            sleep=self.sleep,
            now=lambda: datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=self.seconds),
        )

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        for other in self.others:
            other.renew()

    @property
    def spec(self):
        return self.cluster.objects[KEY]["spec"]


@pytest.fixture
def world() -> World:
    return World()


def test_a_free_lease_is_taken_and_given_back(world) -> None:
    own = world.lease("r1/host/1")
    own.acquire(0)
    own.assert_held()
    assert world.spec["holderIdentity"] == "r1/host/1"
    assert world.spec["leaseDurationSeconds"] == 30
    own.release()
    assert world.spec["holderIdentity"] == ""
    other = world.lease("r2/host/2")
    other.acquire(0)
    assert world.seconds == 0
    assert world.spec["leaseTransitions"] == 2


def test_another_run_that_lives_is_named(world) -> None:
    first = world.lease("r1/host/1")
    first.acquire(0)
    second = world.lease("r2/host/2")
    with pytest.raises(LeaseTaken, match="r1/host/1") as caught:
        second.acquire(0)
    assert world.seconds == 0
    assert "ocpv-rebalance-r1" in caught.value.hint
    assert not second.held
    first.assert_held()


def test_a_run_that_lives_can_be_waited_for(world) -> None:
    first = world.lease("r1/host/1")
    first.acquire(0)
    world.others = [first]
    second = world.lease("r2/host/2")
    with pytest.raises(LeaseTaken):
        second.acquire(100)
    assert 100 <= world.seconds < 103
    world.others = []
    first.release()
    second.acquire(0)
    second.assert_held()


def test_what_a_killed_process_of_the_same_run_left_is_taken_over_after_its_duration(world) -> None:
    world.lease("r1/host/1").acquire(0)
    second = world.lease("r1/elsewhere/7")
    second.acquire(0)
    assert 30 < world.seconds < 33
    second.assert_held()


def test_what_is_left_when_everything_is_done_is_given_back(world) -> None:
    world.lease("r1/host/1").acquire(0)
    world.lease("r1/elsewhere/7").clear()
    assert world.spec["holderIdentity"] == ""
    assert world.seconds > 30


@pytest.mark.parametrize(("holder", "renewed"), [("r1/host/1", True), ("r2/host/1", False)])
def test_only_what_a_dead_process_of_the_same_run_holds_is_given_back(world, holder: str, renewed: bool) -> None:
    first = world.lease(holder)
    first.acquire(0)
    world.others = [first] if renewed else []
    world.lease("r1/elsewhere/7").clear()
    assert world.spec["holderIdentity"] == holder
    assert world.seconds < 5


def test_without_a_lease_there_is_nothing_to_give_back(world) -> None:
    world.lease("r1/host/1").clear()
    assert KEY not in world.cluster.objects


def test_a_living_process_of_the_same_run_is_not_robbed(world) -> None:
    first = world.lease("r1/host/1")
    first.acquire(0)
    world.others = [first]
    second = world.lease("r1/elsewhere/7")
    with pytest.raises(LeaseTaken):
        second.acquire(0)
    first.assert_held()


def test_a_dead_holder_of_another_run_is_taken_over_only_after_watching_it(world) -> None:
    world.lease("r1/host/1").acquire(0)
    world.seconds = 1000.0
    second = world.lease("r2/host/2")
    second.acquire(0)
    assert 1030 < world.seconds < 1033
    assert world.spec["holderIdentity"] == "r2/host/2"


def test_the_holders_own_duration_counts(world) -> None:
    world.lease("r1/host/1", duration=120).acquire(0)
    world.lease("r1/host/2", duration=10).acquire(0)
    assert world.seconds > 120


def test_without_renewing_it_is_uncertain_before_it_can_be_lost(world) -> None:
    own = world.lease("r1/host/1")
    own.acquire(0)
    world.seconds += 23
    own.assert_held()
    world.seconds += 2
    with pytest.raises(LeaseUncertain):
        own.assert_held()
    own.renew()
    own.assert_held()


def test_a_lease_taken_by_another_is_lost_for_good(world) -> None:
    own = world.lease("r1/host/1")
    own.acquire(0)
    world.seconds += 100
    world.lease("r2/host/2").acquire(0)
    with pytest.raises(LeaseTaken, match="r2"):
        own.renew()
    with pytest.raises(LeaseTaken):
        own.assert_held()
    own.release()
    assert world.spec["holderIdentity"] == "r2/host/2"


def test_a_conflict_with_oneself_is_no_loss(world) -> None:
    """Such as after a renewal whose answer was lost."""
    own = world.lease("r1/host/1")
    own.acquire(0)

    def lose(verb: str, plural: str) -> None:
        raise Unreachable("connection lost", details={"outcome": "unknown"})

    world.cluster.answered = lose
    with pytest.raises(Unreachable):
        own.renew()
    world.cluster.answered = lambda verb, plural: None
    world.seconds += 20
    own.renew()
    world.seconds += 20
    own.assert_held()


def test_of_two_that_want_a_free_lease_one_gets_it(world) -> None:
    first, second = world.lease("r1/host/1"), world.lease("r2/host/2")
    first.acquire(0)
    first.release()

    def race(verb: str, plural: str) -> None:
        if verb == "patch":
            world.cluster.requested = lambda verb, plural: None
            second.acquire(0)

    world.cluster.requested = race
    third = world.lease("r3/host/3")
    with pytest.raises(LeaseTaken, match="r2"):
        third.acquire(0)
    second.assert_held()


@pytest.mark.parametrize(
    ("verb", "error", "kind"),
    [
        ("create", NotFound('namespaces "ocpv-scale" not found', status=404), InvalidInput),
        ("get", Forbidden("leases is forbidden", status=403), Forbidden),
        ("create", Forbidden("leases is forbidden", status=403), Forbidden),
    ],
)
def test_a_missing_namespace_or_right_names_the_option_and_the_roles(world, verb, error, kind) -> None:
    def refuse(asked: str, plural: str) -> None:
        if asked == verb:
            raise error

    world.cluster.requested = refuse
    with pytest.raises(kind) as caught:
        world.lease("r1/host/1").acquire(0)
    assert "state_namespace" in caught.value.message
    assert "docs/rbac" in caught.value.hint
