from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

METRICS = "/apis/metrics.k8s.io/v1beta1"


def pod(name: str, node: str, phase: str, usage: dict[str, int] | None) -> dict[str, Any]:
    annotations = {"simcluster.ocpv.scale/usage": json.dumps(usage)} if usage else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "n", "labels": {"app": name}, "annotations": annotations},
        "spec": {"nodeName": node, "containers": [{"name": "compute"}, {"name": "side"}]},
        "status": {"phase": phase},
    }


def test_nodes_use_what_their_running_pods_do_and_a_share_of_their_own(make_local: Callable[..., Any]) -> None:
    client = make_local(
        [
            *({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}} for name in ("n1", "n2")),
            pod("a", "n1", "Running", {"cpu_millicores": 350, "memory_bytes": 1 << 30}),
            pod("b", "n1", "Running", None),
            pod("c", "n1", "Succeeded", {"cpu_millicores": 9000, "memory_bytes": 9 << 30}),
        ]
    ).client
    nodes = {item["metadata"]["name"]: item["usage"] for item in client.get(f"{METRICS}/nodes").json()["items"]}
    assert nodes["n2"] == {"cpu": "500m", "memory": f"{4 << 20}Ki"}
    assert nodes["n1"] == {"cpu": "855m", "memory": f"{(5 << 20) + (64 << 10)}Ki"}
    pods = client.get(f"{METRICS}/namespaces/n/pods").json()
    assert (pods["kind"], [item["metadata"]["name"] for item in pods["items"]]) == ("PodMetricsList", ["a", "b"])
    one = client.get(f"{METRICS}/namespaces/n/pods/a").json()
    assert one["containers"][0] == {"name": "compute", "usage": {"cpu": "350m", "memory": "1048576Ki"}}
    assert [p["metadata"]["name"] for p in client.get(f"{METRICS}/pods", labelSelector="app=b").json()["items"]] == [
        "b"
    ]
    absent = client.get(f"{METRICS}/nodes/n9")
    assert (absent.status, absent.json()["message"]) == (404, 'nodes.metrics.k8s.io "n9" not found')
    assert client.delete(f"{METRICS}/nodes/n1").status == 405
