"""Files of sysctl.d: what they set, what a change leaves alone, and who wins."""

from __future__ import annotations

from ansible_collections.ocpv.scale.plugins.module_utils.host.sysctl_files import (
    AT_BOOT,
    BY_COMMAND,
    HEADING,
    Setting,
    SysctlFile,
    change,
    hidden_by,
    in_order,
    parse,
    values_in,
    winner,
)
from hypothesis import given
from hypothesis import strategies as st

KEY = "net.ipv4.conf.all.arp_filter"
FOREIGN = """\
# ours by hand
; another comment

net.ipv4.conf.all.arp_filter=1 #default value 0
  vm.swappiness =  33
-net.core.nothing = 1
no assignment here
net/ipv4/tcp_sack = 1"""


def test_assignments_are_read_and_the_rest_is_not() -> None:
    assert [(item.path, item.value, item.line, item.ignored) for item in parse(FOREIGN)] == [
        ("net/ipv4/conf/all/arp_filter", "1 #default value 0", 4, False),
        ("vm/swappiness", "33", 5, False),
        ("net/core/nothing", "1", 6, True),
        ("net/ipv4/tcp_sack", "1", 8, False),
    ]


def test_a_line_with_a_minus_and_no_value_excludes_from_globs() -> None:
    (item,) = parse("-net.ipv4.conf.eth0.arp_filter\n")
    assert (item.path, item.value) == ("net/ipv4/conf/eth0/arp_filter", None)


def test_a_change_keeps_what_others_wrote() -> None:
    after = change(FOREIGN, {"vm.swappiness": "10", "net.core.somaxconn": "4096"}, {})
    assert after.split("\n") == [
        *FOREIGN.split("\n")[:4],
        "  vm.swappiness =  10",
        *FOREIGN.split("\n")[5:],
        "net.core.somaxconn = 4096",
        "",
    ]


def test_a_comment_in_a_value_gets_its_own_line() -> None:
    assert change("net.ipv4.conf.all.arp_filter=1 #default value 0\n", {KEY: "1"}, {}) == (
        "#default value 0\nnet.ipv4.conf.all.arp_filter=1\n"
    )


def test_a_value_that_is_right_stays_as_it_is_written() -> None:
    text = "net.ipv4.tcp_rmem =\t4096\t131072   33554432\r\n"
    assert change(text, {"net.ipv4.tcp_rmem": "4096 131072 33554432"}, {}) == text


def test_the_last_line_for_a_key_is_changed() -> None:
    assert change("vm.swappiness=1\nvm.swappiness=2\n", {"vm.swappiness": "3"}, {}) == (
        "vm.swappiness=1\nvm.swappiness=3\n"
    )


def test_a_new_file_tells_who_wrote_it_and_is_empty_when_all_is_taken_back() -> None:
    text = change("", {"vm.swappiness": "3"}, {})
    assert text == HEADING + "vm.swappiness = 3\n"
    assert change(text, {}, {"vm.swappiness": None}) == ""
    assert change(text, {}, {"vm.swappiness": "60"}) == HEADING + "vm.swappiness = 60\n"


@given(
    st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\r\x0b\x0c\x1c\x1d\x1e\x85")),
    st.integers(0, 9),
)
def test_what_is_set_is_there_and_setting_it_again_changes_nothing(text: str, value: int) -> None:
    once = change(text, {KEY: str(value)}, {})
    assert values_in(once)["net/ipv4/conf/all/arp_filter"] == str(value)
    assert change(once, {KEY: str(value)}, {}) == once
    assert all(line in once for line in text.split("\n") if line.startswith("#"))


def files(*names: str, text: str = "") -> list[SysctlFile]:
    return [SysctlFile(name, text) for name in names]


def test_files_are_read_by_name_over_all_directories_and_the_main_file_last_by_command_only() -> None:
    found = files(
        "/usr/lib/sysctl.d/99-a.conf", "/etc/sysctl.d/10-c.conf", "/run/sysctl.d/50-b.conf", "/etc/sysctl.conf"
    )
    names = ["/etc/sysctl.d/10-c.conf", "/run/sysctl.d/50-b.conf", "/usr/lib/sysctl.d/99-a.conf"]
    assert [file.path for file in in_order(found, AT_BOOT)] == names
    assert [file.path for file in in_order(found, BY_COMMAND)] == [*names, "/etc/sysctl.conf"]


def test_a_dash_sorts_before_a_dot_so_the_reference_s_files_win_over_the_link_to_the_main_file() -> None:
    found = files("/etc/sysctl.d/99.8-arp.conf", "/etc/sysctl.d/99-sysctl.conf", "/etc/sysctl.d/99.7-arpcachesize.conf")
    assert [file.name for file in in_order(found, AT_BOOT)] == [
        "99-sysctl.conf",
        "99.7-arpcachesize.conf",
        "99.8-arp.conf",
    ]


def test_of_one_name_the_first_directory_counts_and_a_link_to_nothing_hides() -> None:
    found = files(
        "/usr/lib/sysctl.d/x.conf", "/run/sysctl.d/x.conf", "/usr/lib/sysctl.d/y.conf", "/etc/sysctl.d/readme"
    )
    found.append(SysctlFile("/etc/sysctl.d/y.conf", "", "/dev/null"))
    assert [file.path for file in in_order(found, AT_BOOT)] == ["/run/sysctl.d/x.conf"]
    assert hidden_by("/etc/sysctl.d/x.conf", found) == ["/run/sysctl.d/x.conf", "/usr/lib/sysctl.d/x.conf"]


def test_the_last_file_wins_and_the_main_file_only_by_command() -> None:
    found = [
        SysctlFile("/etc/sysctl.conf", "net.ipv4.conf.all.arp_filter = 0\n"),
        SysctlFile("/etc/sysctl.d/99-zzz.conf", "\nnet.ipv4.conf.all.arp_filter = 2\n"),
        SysctlFile("/etc/sysctl.d/99.8-arp.conf", "net.ipv4.conf.all.arp_filter = 1\n"),
    ]
    assert winner(KEY, found, AT_BOOT) == Setting("/etc/sysctl.d/99.8-arp.conf", 1, "1")
    assert winner(KEY, found, BY_COMMAND) == Setting("/etc/sysctl.conf", 1, "0")
    assert winner("vm.swappiness", found, AT_BOOT) is None


def test_a_name_wins_over_a_glob_and_a_minus_keeps_globs_away() -> None:
    glob = SysctlFile("/etc/sysctl.d/zz.conf", "net.ipv4.conf.*.arp_filter = 2\n")
    named = SysctlFile("/etc/sysctl.d/10.conf", f"{KEY} = 1\n")
    away = SysctlFile("/etc/sysctl.d/10.conf", f"-{KEY}\n")
    assert winner(KEY, [glob], AT_BOOT) == Setting(glob.path, 1, "2")
    assert winner(KEY, [named, glob], AT_BOOT) == Setting(named.path, 1, "1")
    assert winner(KEY, [away, glob], AT_BOOT) is None
    assert winner("net.ipv4.conf.all.arp_ignore", [glob], AT_BOOT) is None
