from __future__ import annotations

from typing import Any

import pytest
from simcluster.api.protobuf import CONTENT_TYPE, Undecodable, decode


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: Any) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def body(api_version: str, kind: str, raw: bytes) -> bytes:
    return b"k8s\x00" + field(1, field(1, api_version) + field(2, kind)) + field(2, raw) + field(3, "") + field(4, "")


def meta(name: str) -> bytes:
    # client-go writes empty text and zeros too
    return field(1, field(1, name) + field(2, "") + field(3, "default") + field(7, 0) + field(8, b""))


def test_a_namespace_without_what_is_empty() -> None:
    raw = meta("n") + field(2, b"") + field(3, field(1, ""))
    assert decode(body("v1", "Namespace", raw)) == {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "n", "namespace": "default"},
    }


def test_maps_bytes_and_a_zero_that_counts() -> None:
    entry = field(1, "key") + field(2, b"\x00\xff")
    secret = decode(body("v1", "Secret", meta("s") + field(2, entry) + field(3, "Opaque")))
    assert secret["data"] == {"key": "AP8="} and secret["type"] == "Opaque"
    options = field(1, 0) + field(4, "Background")
    eviction = decode(body("policy/v1", "Eviction", meta("p") + field(2, options)))
    assert eviction["deleteOptions"] == {"gracePeriodSeconds": 0, "propagationPolicy": "Background"}


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (b"{}", "does not begin"),
        (body("v1", "Node", b""), "v1 Node is understood as JSON or YAML only"),
        (body("v1", "Namespace", field(9, "x")), "field 9 is not understood"),
        (body("v1", "Namespace", meta("n"))[:-20], "ends in the middle"),
        (b"k8s\x00\x0a\xff", "ends in the middle"),
    ],
)
def test_what_is_not_understood_is_said(broken: bytes, told: str) -> None:
    with pytest.raises(Undecodable, match=told):
        decode(broken)


def test_the_server_takes_it(client: Any) -> None:
    raw = field(1, field(1, "made"))
    made = client.request("POST", "/api/v1/namespaces", body("v1", "Namespace", raw), content_type=CONTENT_TYPE)
    assert made.status == 201 and made.json()["status"] == {"phase": "Active"}
    refused = client.request("POST", "/api/v1/namespaces", b"junk", content_type=CONTENT_TYPE)
    assert refused.status == 400 and "protobuf" in refused.json()["message"]
