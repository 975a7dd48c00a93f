# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The live-migration settings a HyperConverged has, under the names of options, and which values they take. Pure.

Source of types and meanings: hyperconverged-cluster-operator api/v1/hyperconverged_types.go
(LiveMigrationConfigurations).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Mapping

from ...errors import InvalidInput
from ...quantity import parse_bytes
from .. import hyperconverged as hco

COUNT = "count"
SECONDS = "seconds"
BANDWIDTH = "bandwidth"
NETWORK = "network"
FLAG = "flag"

_LARGEST = {COUNT: 2**31 - 1, SECONDS: 2**63 - 1}
# a DNS label or subdomain, as names of objects are
_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_LONGEST_NAME = 253
_MIB = 1024**2


@dataclass(frozen=True)
class Field:
    """A setting: the option's name, the API's name, and which kind of value it takes."""

    option: str
    name: str
    kind: str


FIELDS = (
    Field("parallel_migrations_per_cluster", hco.PARALLEL_PER_CLUSTER, COUNT),
    Field("parallel_outbound_migrations_per_node", hco.PARALLEL_OUTBOUND_PER_NODE, COUNT),
    Field("bandwidth_per_migration", hco.BANDWIDTH, BANDWIDTH),
    Field("completion_timeout_seconds_per_gib", hco.COMPLETION_TIMEOUT_PER_GIB, SECONDS),
    Field("progress_timeout_seconds", hco.PROGRESS_TIMEOUT, SECONDS),
    Field("network", hco.NETWORK, NETWORK),
    Field("allow_auto_converge", hco.ALLOW_AUTO_CONVERGE, FLAG),
    Field("allow_post_copy", hco.ALLOW_POST_COPY, FLAG),
    Field("allow_workload_disruption", hco.ALLOW_WORKLOAD_DISRUPTION, FLAG),
)
BY_OPTION: Mapping[str, Field] = {field.option: field for field in FIELDS}
BY_NAME: Mapping[str, Field] = {field.name: field for field in FIELDS}
# Ansible's types of the kinds
_TYPES = {COUNT: "int", SECONDS: "int", BANDWIDTH: "str", NETWORK: "str", FLAG: "bool"}
ARGUMENTS: Mapping[str, Any] = {field.option: {"type": _TYPES[field.kind]} for field in FIELDS}


def checked(field: Field, value: Any) -> Any:
    """Return a value as the API takes it. Raises InvalidInput that names the option for one it does not take."""
    if field.kind in _LARGEST:
        return _whole(field, value)
    if field.kind == BANDWIDTH:
        return _bandwidth(field, value)
    if field.kind == NETWORK:
        return _network(field, value)
    if not isinstance(value, bool):
        raise InvalidInput(field.option, value, "true or false is needed")
    return value


def same(name: str, one: Any, other: Any) -> bool:
    """Tell whether two values of a setting (API name; None: not set) mean the same."""
    if name == hco.BANDWIDTH and one is not None and other is not None:
        try:
            return parse_bytes(one) == parse_bytes(other)
        except InvalidInput:
            return bool(one == other)
    return bool(one == other)


def applied_bandwidth(quantity: str) -> int:
    """Return bytes per second that a bandwidth amounts to: whole MiB/s, rounded to nearest, at least one; 0: no limit.

    Source: KubeVirt pkg/virt-launcher/virtwrap/converter/vcpu/vcpu.go, QuantityToMebiByte.
    """
    stated = parse_bytes(quantity, BY_NAME[hco.BANDWIDTH].option)
    return max(1, (stated + _MIB // 2) // _MIB) * _MIB if stated > 0 else 0


def by_option(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings under the names of options, each of them, None where one is not set."""
    return {field.option: config.get(field.name) for field in FIELDS}


def _whole(field: Field, value: Any) -> int:
    largest = _LARGEST[field.kind]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value // 1:
        raise InvalidInput(field.option, value, "the API takes whole numbers only")
    if not 0 <= value <= largest:
        raise InvalidInput(field.option, value, f"a whole number from 0 to {largest} is needed")
    return int(value)


def _bandwidth(field: Field, value: Any) -> str:
    allowed = (
        "bytes per second are needed as a quantity such as 64Mi (64 MiB/s, about 537 Mbit/s); for no limit, name it in "
        "unset"
    )
    try:
        stated = parse_bytes(value, field.option)
    except InvalidInput as error:
        raise InvalidInput(field.option, value, allowed) from error
    if stated < 0:
        raise InvalidInput(field.option, value, allowed)
    return str(value).strip()


def _network(field: Field, value: Any) -> str:
    if value == "":
        raise InvalidInput(
            field.option, value, "an empty name is not the same as none", hint="Name it in unset to have no network."
        )
    if not isinstance(value, str) or len(value) > _LONGEST_NAME or not _NAME.match(value):
        raise InvalidInput(
            field.option,
            value,
            "the name of a NetworkAttachmentDefinition is needed, without a namespace",
            hint="It is looked for in the namespace of the HyperConverged.",
        )
    return value
