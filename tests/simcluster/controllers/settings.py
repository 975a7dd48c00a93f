"""What tests may change while the cluster runs: the duration model and the faults, kept in ConfigMaps.

Namespace C(simcluster):

C(migration-model): one key per field of C(Model), a number as text.

C(faults): key C(migrations) holds a JSON list of rules for migrations, the first that applies counts:
C({"vm": "shop/web-*", "probability": 0.5, "times": 3, "effect": "fail", "reason": "...", "after_seconds": 2}).
Effects: C(fail) (the source reports C(reason)), C(hang) (nothing is copied any more), C(never-ready) (the target pod's
containers do not start), C(kill-source) and C(kill-target) (that node dies). Key C(nodes) holds a JSON map of node name
to C(dead) (no kubelet, no virt-handler) or C(handler-not-ready).

Key C(nmstate) holds a JSON list of rules for NodeNetworkConfigurationPolicies:
C({"node": "worker-0*", "policy": "*", "times": 2, "effect": "fail", "reason": "..."}), effects C(fail) and C(hang).
Key C(nics) holds a JSON map of node name to network cards that it lacks. Key C(network) holds a JSON map: C(switch_mtu)
(a number, or a map of node to number) is what the switches let through, C(lost) a list of nodes and addresses that
nothing reaches. Key C(machine_config) holds a JSON map of node name to the reason why it cannot take a new
MachineConfig.
"""

from __future__ import annotations

import fnmatch
import logging
import random
from dataclasses import dataclass, fields
from typing import Any

import orjson

from .caches import Caches
from .informer import Key
from .pod import Obj

log = logging.getLogger(__name__)
NAMESPACE = "simcluster"
MODEL = (NAMESPACE, "migration-model")
FAULTS = (NAMESPACE, "faults")


@dataclass(frozen=True)
class Model:
    """Durations (simulated seconds) and rates (bytes per second) of what no real node does here.

    The defaults give what has been measured at large scale: about 14 s for a 4 GiB guest on shared storage, more than
    20 s for one whose container disk has to be fetched first.
    """

    pod_start_seconds: float = 7.0
    container_disk_seconds: float = 11.0
    prepare_target_seconds: float = 1.5
    start_source_seconds: float = 0.5
    finish_seconds: float = 1.0
    boot_seconds: float = 2.0
    shutdown_seconds: float = 3.0
    pod_stop_seconds: float = 1.0
    data_volume_seconds: float = 5.0
    link_bytes_per_second: float = 2.5e9
    stream_bytes_per_second: float = 1.25e9
    default_dirty_rate: float = 4 * 1024**2
    nmstate_apply_seconds: float = 5.0
    nmstate_retry_seconds: float = 1.0
    probe_seconds: float = 2.0
    reboot_seconds: float = 90.0
    drain_retry_seconds: float = 5.0
    render_seconds: float = 5.0


@dataclass(frozen=True)
class Fault:
    """What happens to one migration."""

    effect: str
    reason: str
    after_seconds: float


class Settings:
    """Reads both ConfigMaps afresh when they change; chance is seeded, so that a run can be repeated."""

    def __init__(self, caches: Caches, seed: int = 0) -> None:
        self.model = Model()
        self.killed: dict[str, str] = {}
        self.rebooting: set[str] = set()
        self._caches = caches
        self._rules: list[Obj] = []
        self._nodes: dict[str, str] = {}
        self._used: dict[int, int] = {}
        self._decided: dict[str, Fault | None] = {}
        self._nmstate: list[Obj] = []
        self._nmstate_used: dict[int, int] = {}
        self._network: Obj = {}
        self.missing_nics: dict[str, list[str]] = {}
        self.machine_config: dict[str, str] = {}
        self._random = random.Random(seed)
        self._listeners: list[Any] = []
        caches.settings.on_change(lambda key, _before, _after: self._read(key))

    def on_change(self, listener: Any) -> None:
        """Call C(listener()) after every change of model or faults."""
        self._listeners.append(listener)

    def node_state(self, name: str) -> str:
        """C(dead), C(handler-not-ready) or nothing."""
        return self._nodes.get(name) or self.killed.get(name, "") or ("dead" if name in self.rebooting else "")

    def dead(self, name: str) -> bool:
        return self.node_state(name) == "dead"

    def handler_ready(self, name: str) -> bool:
        return not self.node_state(name) and self._caches.handler_up(name)

    def kill(self, name: str) -> None:
        """A node dies because a rule says so; it comes back when the faults are written again."""
        self.killed[name] = "dead"
        self._tell()

    def reboot(self, name: str) -> None:
        """A node goes down."""
        self.rebooting.add(name)
        self._tell()

    def rebooted(self, name: str) -> None:
        """It is up again."""
        if name in self.rebooting:
            self.rebooting.discard(name)
            self._tell()

    def fault_of(self, key: Key, migration_uid: str) -> Fault | None:
        """The fault that befalls a migration of the machine C(key); decided once per migration."""
        if migration_uid not in self._decided:
            self._decided[migration_uid] = self._decide(key)
        return self._decided[migration_uid]

    def _decide(self, key: Key) -> Fault | None:
        for number, rule in enumerate(self._rules):
            limit = rule.get("times")
            if not fnmatch.fnmatchcase("/".join(key), rule.get("vm", "*")):
                continue
            if limit is not None and self._used.get(number, 0) >= limit:
                continue
            if self._random.random() >= float(rule.get("probability", 1.0)):
                continue
            self._used[number] = self._used.get(number, 0) + 1
            reason = rule.get("reason", "Live migration failed: internal error: connection closed by the remote host")
            return Fault(rule.get("effect", "fail"), reason, float(rule.get("after_seconds", 1.0)))
        return None

    def nmstate_fault(self, node: str, policy: str) -> Obj | None:
        """The rule that befalls one attempt to apply a policy on a node."""
        for number, rule in enumerate(self._nmstate):
            if not fnmatch.fnmatchcase(node, rule.get("node", "*")):
                continue
            if not fnmatch.fnmatchcase(policy, rule.get("policy", "*")):
                continue
            if rule.get("times") is not None and self._nmstate_used.get(number, 0) >= rule["times"]:
                continue
            self._nmstate_used[number] = self._nmstate_used.get(number, 0) + 1
            return rule
        return None

    def switch_mtu(self, node: str) -> int | None:
        """The largest packet that the switch of a node lets through; None: all."""
        value = self._network.get("switch_mtu")
        return value.get(node) if isinstance(value, dict) else value

    def unreachable(self, node: str, address: str) -> bool:
        """Whether packets to an address of a node are lost."""
        lost = self._network.get("lost") or []
        return self.dead(node) or node in lost or address in lost

    def _read(self, key: Key) -> None:
        data: dict[str, str] = (self._caches.settings.obj(key) or {}).get("data") or {}
        try:
            if key == MODEL:
                self.model = Model(**{f.name: float(data[f.name]) for f in fields(Model) if f.name in data})
            elif key == FAULTS:
                self._rules = orjson.loads(data.get("migrations") or "[]")
                self._nodes = orjson.loads(data.get("nodes") or "{}")
                self._nmstate = orjson.loads(data.get("nmstate") or "[]")
                self._network = orjson.loads(data.get("network") or "{}")
                self.missing_nics = orjson.loads(data.get("nics") or "{}")
                self.machine_config = orjson.loads(data.get("machine_config") or "{}")
                self._nmstate_used.clear()
                self._used.clear()
                self.killed.clear()
        except ValueError as problem:
            log.error("ConfigMap %s: %s", "/".join(key), problem)
        self._tell()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()
