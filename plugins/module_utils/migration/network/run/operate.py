# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""migration_network as one call: reads, checks, decides, writes policy and attachment, and tells the result."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Callable, Mapping, Optional

from ....cluster.gateway import Gateway
from ....errors import OcpvError
from ..checks import check
from ..checks_interfaces import former_cards
from ..enactments import Progress
from ..facts import Facts, config_of
from ..problems import Problem, named, refuse
from ..records import Former, former_of, is_owned, joined_spec, leaving_spec, same_config
from ..render import attachment_spec, policy_spec
from ..wanted import DEFAULT_NAME, Wanted, parse_wanted
from .attachment import attached_pods, put_attachment, remove_attachment
from .policy import NotConfigured, PolicyWork, go_back
from .read import read_facts

Result = dict[str, Any]
Spec = dict[str, Any]


def run(module: Any, connect: Callable[[], Gateway]) -> Result:
    """Make or remove the network of a module call; returns the module's result."""
    params = module.params
    if params["state"] == "present":
        wanted, problems = parse_wanted(params)
        refuse(problems)
        call = Call(connect(), params["timeout_seconds"], check_mode=module.check_mode)
        result = call.present(wanted)
    else:
        call = Call(connect(), params["timeout_seconds"], check_mode=module.check_mode)
        result = call.absent(params["name"] or DEFAULT_NAME, params["policy_name"] or "", params["restore"])
    for problem in result["problems"]:
        module.warn(problem["text"])
    return result


class Call:
    """One call of the module. C(clock) and C(sleep) are for tests that play."""

    def __init__(
        self,
        gateway: Gateway,
        timeout_seconds: float,
        *,
        check_mode: bool = False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._gateway = gateway
        self._timeout_seconds = timeout_seconds
        self._check_mode = check_mode
        self._clock = clock
        self._sleep = sleep

    # -- present -----------------------------------------------------------------------------------------------------

    def present(self, wanted: Wanted) -> Result:
        """Make the network. Raises InvalidInput before anything is written, NotConfigured after having gone back."""
        facts = read_facts(self._gateway)
        wanted = replace(wanted, namespace=wanted.namespace or facts.namespace)
        problems = check(wanted, facts)
        refuse(problems)
        policy = facts.policy(wanted.policy_name)
        attachment = facts.attachment(wanted.namespace, wanted.name)
        target = _policy_target(wanted, policy)
        new_attachment = attachment_spec(wanted)
        policy_differs = target is not None and (policy is None or policy.get("spec") != target)
        attachment_differs = attachment is None or not same_config(attachment.get("spec") or {}, new_attachment)
        told = _Told(wanted.name, wanted.namespace, wanted.policy_name, facts, problems)
        if policy_differs:
            told.policy(policy, target)
        if attachment_differs:
            told.attachment(attachment, new_attachment)
        if not self._check_mode:
            if target is not None:
                progress, restated = self._configure(wanted, facts, policy, target, differs=policy_differs)
                told.nodes = progress.to_list()
                told.restated(restated)
            if attachment_differs:
                put_attachment(
                    self._gateway,
                    wanted.namespace,
                    wanted.name,
                    new_attachment,
                    _attachment_former(wanted, facts, attachment),
                    wanted.name,
                )
        return told.result(f"Migration network {wanted.name}", config_of({"spec": new_attachment}))

    def _configure(
        self, wanted: Wanted, facts: Facts, policy: Optional[Mapping[str, Any]], target: Spec, *, differs: bool
    ) -> tuple[Progress, bool]:
        work = self._work(wanted.policy_name, facts)
        former = _policy_former(wanted, facts, policy)
        try:
            # one of others that states the same is only waited for
            if not differs and not is_owned(policy):
                return work.wait(dict(policy or {})), False
            return work.reach(target, wanted.name, former), work.restated
        except NotConfigured as error:
            before = dict(policy) if policy is not None else None
            if not differs:
                if not is_owned(before):
                    raise
                # an earlier call was ended before it could go back
                before = None if former.spec is None else {"metadata": {}, "spec": former.spec}
            raise go_back(work, error, before, former) from error

    # -- absent ------------------------------------------------------------------------------------------------------

    def absent(self, name: str, policy_name: str, restore: Optional[Mapping[str, Any]] = None) -> Result:
        """Remove what this collection made, and restore what it found; with C(restore), what an earlier call found (its
        C(before)). Raises OcpvError while something uses the network."""
        facts = read_facts(self._gateway)
        namespace = facts.namespace
        policy = facts.policy(policy_name or name)
        attachment = facts.attachment(namespace, name)
        told = _Told(name, namespace, policy_name or name, facts, [])
        for kind, item in (("node network policy", policy), ("network attachment", attachment)):
            if item is not None and not is_owned(item):
                told.lines.append(f"The {kind} {item['metadata']['name']} is not of this collection and is left.")
        policy = policy if is_owned(policy) else None
        attachment = attachment if is_owned(attachment) else None
        attachment_target = _restored(attachment, restore, "attachment")
        policy_target = _restored(policy, restore, "policy")
        if attachment is not None and same_config(attachment.get("spec") or {}, attachment_target or {"config": "?"}):
            attachment = attachment if _unmarks(attachment, attachment_target) else None
        if policy is not None and policy.get("spec") == policy_target and not _unmarks(policy, policy_target):
            policy = None
        if attachment is not None:
            told.former_network = former_of(attachment).network
        if attachment is not None and attachment_target is None and not self._check_mode:
            self._refuse_in_use(facts, namespace, name)
        if policy is not None:
            self._refuse_masters(facts, namespace, name, policy, policy_target)
        if attachment is not None:
            told.attachment(attachment, attachment_target)
        if policy is not None:
            told.policy(policy, policy_target)
        if not self._check_mode:
            if attachment is not None:
                keep = not _unmarks(attachment, attachment_target)
                remove_attachment(self._gateway, namespace, name, attachment_target, keep)
            if policy is not None:
                keep = not _unmarks(policy, policy_target)
                work = self._work(policy["metadata"]["name"], facts)
                work.withdraw(policy_target, former_of(policy).cards, keep_marks=keep)
        return told.result(f"Migration network {name}", {})

    def _refuse_in_use(self, facts: Facts, namespace: str, name: str) -> None:
        if facts.network == name:
            raise OcpvError(
                f"The HyperConverged in {namespace} names {name} as its migration network.",
                hint="Unset it first: ocpv.scale.hco_migration_config with unset: [network]. The role does so.",
            )
        pods = attached_pods(self._gateway, namespace, name)
        if pods:
            raise OcpvError(
                f"Pods in {namespace} have an interface of {name}: {named(pods)}.",
                hint="Wait until virt-handler has been rolled out without it, and delete other pods that use it.",
                details={"pods": pods},
            )

    @staticmethod
    def _refuse_masters(
        facts: Facts, namespace: str, name: str, policy: Mapping[str, Any], target: Optional[Spec]
    ) -> None:
        """Attachments of others on an interface that would go."""
        spec = leaving_spec(policy["spec"], target, former_of(policy).cards)
        gone = {entry["name"] for entry in spec["desiredState"].get("interfaces") or () if entry["state"] == "absent"}
        users = []
        for item in facts.attachments:
            key = (item["metadata"].get("namespace", ""), item["metadata"]["name"])
            config = config_of(item)
            if key != (namespace, name) and {config.get("master"), config.get("bridge")} & gone:
                users.append("/".join(key))
        if users:
            raise OcpvError(
                f"Network attachments of others use interfaces that would be removed: {named(users)}.",
                hint="Move them to other interfaces first, or leave the network in place.",
                details={"attachments": sorted(users)},
            )

    def _work(self, policy_name: str, facts: Facts) -> PolicyWork:
        return PolicyWork(
            self._gateway,
            policy_name,
            facts,
            timeout_seconds=self._timeout_seconds,
            clock=self._clock,
            sleep=self._sleep,
        )


def _spec(item: Optional[Mapping[str, Any]]) -> Optional[Spec]:
    return None if item is None else dict(item.get("spec") or {})


def _policy_target(wanted: Wanted, policy: Optional[Mapping[str, Any]]) -> Optional[Spec]:
    """What the policy is to state: ours, and what others had in it before."""
    if not wanted.configures_nodes:
        return None
    before = former_of(policy).spec if policy is not None and is_owned(policy) else _spec(policy)
    return joined_spec(policy_spec(wanted), before)


def _policy_former(wanted: Wanted, facts: Facts, policy: Optional[Mapping[str, Any]]) -> Former:
    chosen = [facts.states[node.name] for node in facts.selected(wanted.node_selector) if node.name in facts.states]
    cards = former_cards(wanted, chosen)
    if policy is not None and is_owned(policy):
        former = former_of(policy)
        # what the policy has configured already is no longer as it was
        stated = {entry.get("name") for entry in (policy["spec"].get("desiredState") or {}).get("interfaces") or ()}
        fresh = {name: card for name, card in cards.items() if name not in stated}
        return Former(former.spec, {**fresh, **former.cards})
    return Former(_spec(policy), cards)


def _attachment_former(wanted: Wanted, facts: Facts, attachment: Optional[Mapping[str, Any]]) -> Former:
    if attachment is not None and is_owned(attachment):
        return former_of(attachment)
    return Former(_spec(attachment), network=facts.network if facts.network != wanted.name else "")


def _restored(item: Optional[Mapping[str, Any]], restore: Optional[Mapping[str, Any]], part: str) -> Optional[Spec]:
    if item is None:
        return None
    if restore is not None:
        found = restore.get(part)
        return dict(found) if found else None
    return former_of(item).spec


def _unmarks(item: Mapping[str, Any], target: Optional[Spec]) -> bool:
    """Whether going to C(target) ends the ownership: it is what was there before the first write."""
    return target is None or target == former_of(item).spec


class _Told:
    """Collects what the module returns."""

    def __init__(self, name: str, namespace: str, policy_name: str, facts: Facts, problems: list[Problem]) -> None:
        self._name = f"{namespace}/{name}"
        self._policy_name = policy_name
        self._network = facts.network
        self._problems = problems
        policy, attachment = facts.policy(policy_name), facts.attachment(namespace, name)
        self._before = {"policy": _spec(policy), "attachment": _spec(attachment), "network": facts.network}
        self._namespace = namespace
        self.nodes: list[dict[str, str]] = []
        self.lines: list[str] = []
        self.former_network = ""
        self._restated = False
        self.diff: list[dict[str, Any]] = []

    def policy(self, before: Optional[Mapping[str, Any]], after: Optional[Mapping[str, Any]]) -> None:
        """A changed policy."""
        self._changed("Node network policy", self._policy_name, _spec(before), after)

    def attachment(self, before: Optional[Mapping[str, Any]], after: Optional[Mapping[str, Any]]) -> None:
        """A changed attachment, whose diff shows its configuration."""
        former = config_of(before) if before is not None else None
        config = config_of({"spec": after}) if after is not None else None
        self._changed("Network attachment", self._name, former, config)

    def restated(self, happened: bool) -> None:
        """A policy that had failed was tried again."""
        if happened:
            self.lines.append(f"Node network policy {self._policy_name}: tried again, since it had failed.")
        self._restated = happened

    def _changed(self, what: str, name: str, before: Optional[Any], after: Optional[Any]) -> None:
        verb = "created" if before is None else "removed" if after is None else "changed"
        self.lines.append(f"{what} {name}: {verb}.")
        header = f"{what} {name}"
        self.diff.append(
            {"before_header": header, "after_header": header, "before": before or {}, "after": after or {}}
        )

    def result(self, subject: str, config: Mapping[str, Any]) -> Result:
        changed = bool(self.diff) or self._restated
        return {
            "changed": changed,
            "msg": f"{subject}: " + (" ".join(self.lines) if self.lines else "nothing to change."),
            "lines": self.lines,
            "namespace": self._namespace,
            "policy_name": self._policy_name,
            "config": dict(config),
            "nodes": self.nodes,
            "problems": [problem.to_dict() for problem in self._problems],
            "before": self._before,
            "former_network": self.former_network,
            "diff": self.diff,
        }
