"""Where settings of interfaces are kept: connections and ifcfg files."""

from __future__ import annotations

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.host.nic_files import (
    change_ifcfg,
    line_value,
    parse_properties,
    properties,
    put_back_ifcfg,
)

SETTINGS = {
    "mtu": "9000",
    "rx_ring": "8192",
    "tx_ring": "4096",
    "offload generic-receive-offload": "on",
    "offload tx-gre-segmentation": "off",
}
IFCFG = """\
# storage
DEVICE=ens1f0
MTU="1500"
BOOTPROTO=none"""


def test_settings_are_properties_of_a_connection() -> None:
    assert properties(SETTINGS) == {
        "802-3-ethernet.mtu": "9000",
        "ethtool.ring-rx": "8192",
        "ethtool.ring-tx": "4096",
        "ethtool.feature-gro": "on",
        "ethtool.feature-tx-gre-segmentation": "off",
    }


def test_what_is_not_set_of_a_connection_is_missing() -> None:
    text = "802-3-ethernet.port:--\n802-3-ethernet.mtu:auto\nethtool.ring-rx:4096\nethtool.feature-gro:\n"
    assert parse_properties(text) == {"ethtool.ring-rx": "4096"}
    assert parse_properties(text.replace("auto", "9000"))["802-3-ethernet.mtu"] == "9000"


def test_settings_are_lines_of_an_ifcfg_file_and_the_rest_stays() -> None:
    text = change_ifcfg(IFCFG, "ens1f0", SETTINGS)
    assert text == (
        "# storage\nDEVICE=ens1f0\nMTU=9000\nBOOTPROTO=none\n"
        'ETHTOOL_OPTS="-G ens1f0 rx 8192 tx 4096; -K ens1f0 gro on tx-gre-segmentation off"\n'
    )
    assert change_ifcfg(text, "ens1f0", SETTINGS) == text


def test_options_of_ethtool_that_are_there_stay() -> None:
    text = 'ETHTOOL_OPTS="speed 25000 duplex full; -K ens1f0 lro off gro off"\n'
    assert change_ifcfg(text, "ens1f0", {"offload generic-receive-offload": "on", "rx_ring": "99"}) == (
        'ETHTOOL_OPTS="speed 25000 duplex full; -K ens1f0 lro off gro on; -G ens1f0 rx 99"\n'
    )


@pytest.mark.parametrize(
    ("text", "value"), [("MTU=1\nMTU='2' # x\n", "2"), ("MTU=\n", ""), ("X=1", None), ('MTU="', '"')]
)
def test_values_are_read_as_a_shell_does(text: str, value: str | None) -> None:
    assert line_value(text, "MTU") == value


def test_what_others_changed_meanwhile_stays_when_ours_is_taken_back() -> None:
    text = change_ifcfg(IFCFG, "ens1f0", SETTINGS) + "ZONE=trusted\n"
    assert put_back_ifcfg(text, IFCFG) == '# storage\nDEVICE=ens1f0\nMTU="1500"\nBOOTPROTO=none\nZONE=trusted\n'
