# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Steering a VM to a node by its node selector, and putting back what was there. Pure.

The original is kept in an annotation that is written together with the first change and removed together with the last,
so whoever finds the annotation knows what to put back, however the run ended.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Mapping, Optional

from ...names import COLD_MOVE, STEERED_MOVE
from ..plan import COLD, Move

HOSTNAME = "kubernetes.io/hostname"
# where the VM is being sent
TARGET = "target"
SOURCE = "source"  # the target did not take it: back to where it was
ANYWHERE = "anywhere"  # the source did not take it either: with its own placement, wherever it fits
GOALS = (TARGET, SOURCE, ANYWHERE)


@dataclass(frozen=True)
class Note:
    """What the annotation holds: whose move it is, how far it got, and the VM's original placement and run strategy.

    C(node_selector) and C(affinity) are those of spec.template.spec, None where absent. C(replaces) is the UID of the
    instance that a cold move ends; another UID is the new instance.
    """

    run: str
    move: str
    mode: str
    source: str
    target: str
    source_hostname: str
    target_hostname: str
    run_strategy: str
    node_selector: Optional[Mapping[str, str]] = None
    affinity: Optional[Mapping[str, Any]] = None
    replaces: str = ""
    goal: str = TARGET
    # why the goal is no longer the target: a code and a sentence
    code: str = ""
    reason: str = ""

    @property
    def annotation(self) -> str:
        """Name of the annotation that holds this note."""
        return COLD_MOVE if self.mode == COLD else STEERED_MOVE

    @property
    def hostname(self) -> str:
        """The hostname label to select for the present goal, empty for none."""
        return {TARGET: self.target_hostname, SOURCE: self.source_hostname, ANYWHERE: ""}[self.goal]

    def to_text(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


def parse_note(text: str) -> Note:
    """Return the Note that an annotation holds. Raises ValueError for anything else."""
    document = json.loads(text)
    if not isinstance(document, dict):
        raise ValueError("a JSON object is needed")
    known = {name: document[name] for name in Note.__dataclass_fields__ if name in document}
    try:
        note = Note(**known)
    except TypeError as error:
        raise ValueError(str(error)) from None
    if note.goal not in GOALS:
        raise ValueError(f"the goal {note.goal!r} is not known")
    return note


def make_note(
    vm: Mapping[str, Any], run_id: str, move: Move, source_hostname: str, target_hostname: str, instance_uid: str
) -> Note:
    """Return the note for a move of a VM (the VirtualMachine object as the API returns it)."""
    template = vm["spec"]["template"]["spec"]
    return Note(
        run=run_id,
        move=move.id,
        mode=move.mode,
        source=move.source,
        target=move.target,
        source_hostname=source_hostname,
        target_hostname=target_hostname,
        run_strategy=run_strategy(vm),
        node_selector=template.get("nodeSelector"),
        affinity=template.get("affinity"),
        replaces=instance_uid,
    )


def run_strategy(vm: Mapping[str, Any]) -> str:
    """Return the run strategy in force of a VirtualMachine object, also of one that still says spec.running."""
    spec = vm.get("spec") or {}
    return spec.get("runStrategy") or ("Always" if spec.get("running") else "Halted")


def place_patch(vm: Mapping[str, Any], note: Note) -> dict[str, Any]:
    """Return the merge patch that writes the note and selects the node of its goal, in one write.

    It carries the object's resourceVersion, so it is refused if the VM changed since it was read.
    """
    selector = dict(note.node_selector or {})
    if note.hostname:
        selector[HOSTNAME] = note.hostname
    patch = _patch(vm, note, note.to_text())
    patch["spec"] = {"template": {"spec": {"nodeSelector": _difference(_selector(vm), selector)}}}
    return patch


def restore_patch(vm: Mapping[str, Any], note: Note) -> dict[str, Any]:
    """Return the merge patch that puts the original placement and run strategy back and removes the note.

    What somebody else changed meanwhile stays: only a selector that still is as we left it is put back as a whole;
    otherwise just our own entry is taken out. The run strategy is touched only where the move had to (C(Once), whose
    stop leaves C(Halted) behind).
    """
    current = _selector(vm)
    original = note.node_selector
    ours = dict(original or {})
    if note.hostname:
        ours[HOSTNAME] = note.hostname
    patch = _patch(vm, note, None)
    spec: dict[str, Any] = {}
    if current == ours:
        if original is None:
            spec["template"] = {"spec": {"nodeSelector": None}} if current is not None else {}
        else:
            spec["template"] = {"spec": {"nodeSelector": _difference(current, original)}}
    elif current and note.hostname and current.get(HOSTNAME) == note.hostname:
        spec["template"] = {"spec": {"nodeSelector": {HOSTNAME: (original or {}).get(HOSTNAME)}}}
    if note.run_strategy == "Once" and run_strategy(vm) == "Halted":
        spec["runStrategy"] = note.run_strategy
    if spec:
        patch["spec"] = {key: value for key, value in spec.items() if value}
    return patch


def strategy_patch(vm: Mapping[str, Any], note: Note) -> dict[str, Any]:
    """Return the merge patch that puts the run strategy back and thereby starts a VM whose strategy is C(Once)."""
    return {
        "metadata": {"resourceVersion": vm["metadata"]["resourceVersion"]},
        "spec": {"runStrategy": note.run_strategy},
    }


def retreat(note: Note, goal: str, instance_uid: str, code: str, reason: str) -> Note:
    """Return the note with another goal; C(instance_uid) is the instance that did not start and has to go."""
    return replace(note, goal=goal, replaces=instance_uid, code=note.code or code, reason=note.reason or reason)


def _patch(vm: Mapping[str, Any], note: Note, text: Optional[str]) -> dict[str, Any]:
    return {
        "metadata": {
            "resourceVersion": vm["metadata"]["resourceVersion"],
            "annotations": {note.annotation: text},
        }
    }


def _selector(vm: Mapping[str, Any]) -> Optional[Mapping[str, str]]:
    selector: Optional[Mapping[str, str]] = vm["spec"]["template"]["spec"].get("nodeSelector")
    return selector


def _difference(current: Optional[Mapping[str, str]], wanted: Mapping[str, str]) -> dict[str, Optional[str]]:
    """The merge patch of a map that turns it into another one."""
    removed: dict[str, Optional[str]] = {key: None for key in current or {} if key not in wanted}
    return {**removed, **wanted}
