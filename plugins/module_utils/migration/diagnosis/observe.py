# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read what a diagnosis needs besides a snapshot: events about migrations and VMs, and target pods that wait."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Sequence

from ...cluster.gateway import Gateway
from ...cluster.model import Migration
from ...cluster.resources import ACTIVE_PODS, EVENTS, MIGRATIONS, PODS, VIRTUAL_MACHINE_INSTANCES
from ...errors import Forbidden, NotFound
from .case import TargetPod, parse_target_pod
from .cases import Message, Observed, message_of

_JOB_LABEL = "kubevirt.io/migrationJobUID"
_UIDS_PER_LIST = 50


def observe(gateway: Gateway, migrations: Iterable[Migration]) -> Observed:
    """Return what can be read about these migrations, with lists of their namespaces only. What this account may not
    read is left out: the diagnosis then has less evidence."""
    found = list(migrations)
    return Observed(_pods(gateway, [item.uid for item in found if not item.final]), _messages(gateway, found))


def _pods(gateway: Gateway, uids: Sequence[str]) -> dict[str, TargetPod]:
    pods = {}
    for start in range(0, len(uids), _UIDS_PER_LIST):
        selector = f"{_JOB_LABEL} in ({','.join(uids[start : start + _UIDS_PER_LIST])})"
        for item in _listed(gateway, PODS, label_selector=selector, field_selector=ACTIVE_PODS):
            pods[item["metadata"]["labels"][_JOB_LABEL]] = parse_target_pod(item)
    return pods


def _messages(gateway: Gateway, migrations: Sequence[Migration]) -> dict[str, list[Message]]:
    messages: dict[str, list[Message]] = {}
    for namespace in sorted({item.namespace for item in migrations}):
        for kind in (MIGRATIONS.kind, VIRTUAL_MACHINE_INSTANCES.kind):
            selector = f"involvedObject.kind={kind}"
            for item in _listed(gateway, EVENTS, namespace=namespace, field_selector=selector):
                about = message_of(item)
                if about is not None:
                    messages.setdefault(about[0], []).append(about[1])
    return {name: sorted(found, key=lambda message: message.time) for name, found in messages.items()}


def _listed(gateway: Gateway, resource: Any, **options: Any) -> list[Mapping[str, Any]]:
    try:
        return list(gateway.list(resource, **options).items)
    except (Forbidden, NotFound):
        return []
