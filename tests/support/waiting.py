"""Waiting for what a cluster does by itself, and changing how it does it."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from simcluster.controllers.settings import Model
from simcluster.quickening import quickened
from simcluster.testing import RunningCluster

from .start import REAL

Obj = dict[str, Any]
_CONFIG_MAPS = "/api/v1/namespaces/simcluster/configmaps"
# a real API server's clock cannot be sped up
_LONGER = 4 if REAL else 1
_numbers = itertools.count(1)


def eventually[T](read: Callable[[], T], good: Callable[[T], bool], seconds: float = 15.0) -> T:
    """The first value that is good; fails with the last one."""
    deadline = time.monotonic() + seconds * _LONGER
    while True:
        value = read()
        if good(value):
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds * _LONGER} s; last: {json.dumps(value, default=str)[:3000]}")
        time.sleep(0.02)


def set_faults(cluster: RunningCluster, *rules: Obj, nodes: Mapping[str, str] | None = None) -> None:
    """Sets the faults of migrations and nodes; none ends all. Rules are as ``simcluster.controllers.settings`` says."""
    timed = [{**rule, "after_seconds": rule.get("after_seconds", 1.0) / cluster.quickened_by} for rule in rules]
    data = {"migrations": json.dumps(timed), "nodes": json.dumps(dict(nodes or {})), "written": str(next(_numbers))}
    _write(cluster, "faults", data)


def set_model(cluster: RunningCluster, *, quickened_by: float | None = None, **values: str) -> None:
    """Sets parameters of the duration model; the others go back to their defaults.

    Where the cluster's clock is real all durations are shorter, and rates higher, by a factor: the cluster's or this.
    """
    factor = 1.0 if cluster.quickened_by == 1.0 else quickened_by or cluster.quickened_by
    assert set(values) <= set(vars(Model()))
    _write(cluster, "migration-model", quickened(values, factor))


def _write(cluster: RunningCluster, name: str, data: Mapping[str, str]) -> None:
    api = cluster.client()
    if api.patch(f"{_CONFIG_MAPS}/{name}", {"data": data}).status == 404:
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "simcluster"}}
        assert api.post("/api/v1/namespaces", namespace).status in (201, 409)
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
        assert api.post(_CONFIG_MAPS, body).status == 201
    # until the controllers have seen it
    time.sleep(0.1 * _LONGER)
