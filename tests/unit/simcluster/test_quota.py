"""What pods use of a quota, and what is said when there is no more."""

from __future__ import annotations

from typing import Any

import pytest
from simcluster import admission
from simcluster.pod_requests import pod_requests
from simcluster.quota import exceeded, used

Obj = dict[str, Any]


def spec(cpu: str, memory: str = "1Gi", **more: Any) -> Obj:
    return {"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu, "memory": memory}}}], **more}


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        (spec("500m"), {"cpu": 500, "memory": 2**30}),
        ({"containers": [*spec("1")["containers"], *spec("2")["containers"]]}, {"cpu": 3000, "memory": 2**31}),
        (spec("1", initContainers=spec("3", "1Mi")["containers"]), {"cpu": 3000, "memory": 2**30}),
        (spec("1", overhead={"cpu": "250m"}), {"cpu": 1250, "memory": 2**30}),
        ({"containers": [{"resources": {"limits": {"cpu": "2"}}}]}, {"cpu": 2000}),
        ({"containers": [{}]}, {}),
    ],
)
def test_requests_of_a_pod(pod: Obj, expected: Obj) -> None:
    assert pod_requests(pod) == expected


def test_only_limited_names_are_counted() -> None:
    hard = {"pods": "5", "requests.cpu": "4", "memory": "8Gi", "requests.storage": "1Ti", "count/secrets": "3"}
    found = used(hard, [{"cpu": 500, "memory": 2**30}, {"cpu": 1500}])
    assert found == {"pods": 2, "requests.cpu": 2000, "memory": 2**30}


@pytest.mark.parametrize(
    ("hard", "text"),
    [
        ({"pods": "2"}, ""),
        ({"pods": "1"}, "exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"),
        (
            {"requests.cpu": "1", "requests.memory": "1Gi", "pods": "9"},
            "exceeded quota: q, requested: requests.cpu=1,requests.memory=1Gi, used: requests.cpu=500m,"
            "requests.memory=1Gi, limited: requests.cpu=1,requests.memory=1Gi",
        ),
        ({"requests.nvidia.com/gpu": "0"}, ""),
    ],
)
def test_what_is_over(hard: Obj, text: str) -> None:
    in_use = used(hard, [{"cpu": 500, "memory": 2**30}])
    assert exceeded("q", hard, in_use, {"cpu": 1000, "memory": 2**30}) == text


def test_pods_are_refused() -> None:
    class Objects:
        def get(self, *_arguments: str) -> Obj | None:
            return None

        def list(self, group: str, plural: str, *_more: Any) -> list[Obj]:
            quota = {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "1"}}}
            ended = {"spec": {}, "status": {"phase": "Succeeded"}}
            return {"resourcequotas": [quota], "pods": [ended, {"spec": {}, "status": {"phase": "Running"}}]}[plural]

    pod = {"metadata": {"name": "web-x", "namespace": "ns"}, "spec": spec("1")}
    request = admission.Request("CREATE", "", "v1", "pods", "ns", "web-x", pod)
    with pytest.raises(admission.Denied) as caught:
        admission.validate(request, Objects())
    assert (caught.value.code, caught.value.reason) == (403, "Forbidden")
    assert caught.value.message == (
        'pods "web-x" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1'
    )
