"""VMs are chosen by namespace, name, label and JMESPath; what does not exist is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.cluster import select
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.model import (
    Claim,
    Condition,
    Instance,
    Node,
    Resources,
    Snapshot,
    VirtualMachine,
    VmSpec,
    Volume,
)
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.select import Selection, choose, vm_document
from ansible_collections.ocpv.scale.plugins.module_utils.errors import InvalidInput

GIB = 1024**3


def machine(key: str, *, node: str = "", gib: int = 1, **labels: str) -> VirtualMachine:
    namespace, name = key.split("/")
    spec = VmSpec(vcpus=2, guest_memory_bytes=gib * GIB, volumes=(Volume("root", "dataVolume", f"{name}-disk"),))
    instance = None
    if node:
        conditions = {"LiveMigratable": Condition("LiveMigratable", "True")}
        instance = Instance(
            f"i-{name}", "Running", node, spec, {}, {}, conditions, requests=Resources(100, gib * GIB, 1)
        )
    return VirtualMachine(namespace, name, f"u-{name}", labels, {}, {}, "Always", False, "", spec, instance)


def make_snapshot(*machines: VirtualMachine) -> Snapshot:
    return Snapshot(
        captured_at="2026-03-01T12:00:00Z",
        cluster_uid="c",
        nodes={"w1": Node("w1", "n", {"zone": "a"}, (), False, True, Resources())},
        namespaces={"shop": {"team": "x"}, "bank": {}, "empty": {}},
        virtual_machines={vm.key: vm for vm in machines},
        claims={"shop/web-1-disk": Claim("shop", "web-1-disk", ("ReadWriteMany",), "Block", "ceph", "Bound", "", 5)},
    )


SNAPSHOT = make_snapshot(
    machine("shop/web-2", node="w1", gib=16, app="web"),
    machine("shop/web-1", node="w1", gib=8, app="web", tier="a"),
    machine("shop/db", gib=4, app="db"),
    machine("bank/db", node="w1", gib=2, app="db"),
)


def chosen(**options: Any) -> list[str]:
    return [vm.key for vm in choose(SNAPSHOT, Selection(**options))]


def test_everything_in_the_order_of_keys() -> None:
    assert chosen() == ["bank/db", "shop/db", "shop/web-1", "shop/web-2"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"namespaces": ("bank",)}, ["bank/db"]),
        ({"namespaces": ("empty",)}, []),
        ({"names": ("db",)}, ["bank/db", "shop/db"]),
        ({"names": ("shop/db",)}, ["shop/db"]),
        ({"names": ("web-*", "bank/db")}, ["bank/db", "shop/web-1", "shop/web-2"]),
        ({"names": ("shop/*",)}, ["shop/db", "shop/web-1", "shop/web-2"]),
        ({"names": ("nothing-*",)}, []),
        ({"namespaces": ("shop",), "names": ("db",)}, ["shop/db"]),
        ({"label_selector": "app=web,!tier"}, ["shop/web-2"]),
        ({"exclude": ("shop/web-1", "db")}, ["shop/web-2"]),
        ({"names": ("web-*",), "exclude": ("*-1",)}, ["shop/web-2"]),
        ({"select": "[?memory_bytes > `4294967296`]"}, ["shop/web-1", "shop/web-2"]),
        ({"select": "[?labels.app == 'db' && running]"}, ["bank/db"]),
        ({"select": "sort_by(@, &memory_bytes)[-1]"}, ["shop/web-2"]),
        ({"select": "[?volumes[?contains(access_modes, 'ReadWriteMany')]]"}, ["shop/web-1"]),
        ({"select": "[?node_labels.zone == 'a' && namespace_labels.team == 'x']"}, ["shop/web-1", "shop/web-2"]),
        ({"select": "[?conditions.LiveMigratable == 'True']", "names": ("db",)}, ["bank/db"]),
        ({"select": "[?requests == null]"}, ["shop/db"]),
        ({"select": "[?name == 'nobody']"}, []),
    ],
)
def test_selections(options: dict[str, Any], expected: list[str]) -> None:
    assert chosen(**options) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"namespaces": ("shop", "shpo")}, r"namespaces: \['shpo'\] cannot be used"),
        ({"names": ("web-1", "web-9", "shop/nobody")}, r"names: \['web-9', 'shop/nobody'\] cannot be used"),
        ({"namespaces": ("bank",), "names": ("shop/db",)}, r"names: \['shop/db'\]"),
        ({"exclude": ("web-9",)}, r"exclude: \['web-9'\]"),
        ({"label_selector": "app=="}, None),
        ({"label_selector": "app in"}, "label_selector"),
        ({"select": "[?memory_bytes >"}, "select: .*JMESPath"),
        ({"select": "[].name"}, "select: .*something else than VMs: 'db'"),
        ({"select": "length(@)"}, "select: .*something else than VMs: 4"),
        ({"select": "vms[?running]"}, "select: .*None"),
        ({"select": "[?starts_with(vcpus, 'x')]"}, "select: .*starts_with"),
    ],
)
def test_mistakes_are_told(options: dict[str, Any], message: str | None) -> None:
    if message is None:  # an empty value is a value
        assert chosen(**options) == []
        return
    with pytest.raises(InvalidInput, match=message):
        chosen(**options)


def test_without_jmespath_only_select_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(select, "jmespath", None)
    assert chosen(names=("shop/db",)) == ["shop/db"]
    with pytest.raises(InvalidInput, match="the Python library jmespath is needed"):
        chosen(select="[?running]")


def test_the_document_is_json_and_says_all() -> None:
    document = vm_document(SNAPSHOT, SNAPSHOT.virtual_machines["shop/web-1"])
    assert json.loads(json.dumps(document)) == document
    assert document["requests"] == {"cpu_millicores": 100, "memory_bytes": 8 * GIB}
    assert document["usage"] is None
    assert document["volumes"] == [
        {
            "name": "root",
            "kind": "dataVolume",
            "claim": "web-1-disk",
            "hotplugged": False,
            "access_modes": ["ReadWriteMany"],
            "volume_mode": "Block",
            "storage_class": "ceph",
            "capacity_bytes": 5,
        }
    ]


def test_the_documented_fields_are_those_there_are() -> None:
    from ansible_collections.ocpv.scale.plugins.doc_fragments.vm_selection import ModuleDocFragment

    document = vm_document(SNAPSHOT, SNAPSHOT.virtual_machines["shop/web-1"])
    names = [*document, *document["volumes"][0], *document["requests"]]
    assert [name for name in names if f"C({name})" not in ModuleDocFragment.DOCUMENTATION] == []
