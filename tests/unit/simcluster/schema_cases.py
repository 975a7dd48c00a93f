"""Objects and calls that the schema tests share."""

from __future__ import annotations

from typing import Any

import pytest
from simcluster.schema import Registry, Resource, SchemaInvalid

REGISTRY = Registry()


def resource(group: str, kind: str) -> Resource:
    found = REGISTRY.by_kind(group, kind)
    assert found is not None
    return found


def build(api_version: str, kind: str, spec: Any = None, **meta: Any) -> dict[str, Any]:
    group = api_version.rpartition("/")[0]
    namespaced = {"namespace": "p1"} if resource(group, kind).namespaced else {}
    name = "kubevirt-hyperconverged" if kind == "HyperConverged" else "x"
    obj: dict[str, Any] = {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, **namespaced, **meta}}
    return obj if spec is None else {**obj, "spec": spec}


def process(obj: dict[str, Any], **options: Any) -> list[str]:
    group, _, version = obj["apiVersion"].rpartition("/")
    return REGISTRY.process(resource(group, obj["kind"]), version, obj, **options)


def refusal(obj: dict[str, Any], **options: Any) -> SchemaInvalid:
    with pytest.raises(SchemaInvalid) as caught:
        process(obj, **options)
    return caught.value


def policy(spec: Any, **meta: Any) -> dict[str, Any]:
    return build("nmstate.io/v1", "NodeNetworkConfigurationPolicy", spec, **meta)


def machine(spec: dict[str, Any], **meta: Any) -> dict[str, Any]:
    template = {"spec": {"domain": {"devices": {}}, **spec}}
    return build("kubevirt.io/v1", "VirtualMachine", {"runStrategy": "Always", "template": template}, **meta)


def config_map(**meta: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "p1", **meta}, "data": {}}
