"""Plans for a host: what is written, what is written down, and the way back."""

from __future__ import annotations

from ansible_collections.ocpv.scale.plugins.module_utils.host.sysctl_files import BY_COMMAND, SysctlFile, values_in
from ansible_collections.ocpv.scale.plugins.module_utils.host.sysctl_keys import key_path
from ansible_collections.ocpv.scale.plugins.module_utils.host.sysctl_plan import (
    FileFacts,
    Observed,
    Plan,
    drift,
    overrides,
    plan,
    plan_return,
)
from ansible_collections.ocpv.scale.plugins.module_utils.host.sysctl_profiles import Wanted
from ansible_collections.ocpv.scale.plugins.module_utils.host.sysctl_record import Record, from_text, merged
from hypothesis import given
from hypothesis import strategies as st

DIRECTORY = "/etc/sysctl.d"
KEYS = ("vm.swappiness", "vm.dirty_ratio", "net.core.somaxconn")
FILES = ("a.conf", "b.conf")


def wanted(**values: str) -> list[Wanted]:
    return [Wanted(key.replace("__", "."), value, "a.conf", "keys") for key, value in values.items()]


def after(observed: Observed, planned: Plan) -> Observed:
    """The host once a plan is carried out."""
    runtime = {**observed.runtime, **{change.key: change.after for change in planned.key_changes}}
    drop_ins = {**observed.drop_ins}
    for change in planned.file_changes:
        drop_ins.pop(change.path, None)
        if change.after is not None:
            drop_ins[change.path] = change.after
    return Observed(runtime, drop_ins)


START = Observed({"vm.swappiness": "60", "vm.dirty_ratio": "20", "net.core.somaxconn": "4096"}, {})


def test_a_second_plan_is_empty_and_the_way_back_is_exact() -> None:
    planned = plan(wanted(vm__swappiness="10"), DIRECTORY, START, Record())
    assert [(change.key, change.before, change.after) for change in planned.key_changes] == [
        ("vm.swappiness", "60", "10")
    ]
    there = after(START, planned)
    again = plan(wanted(vm__swappiness="10"), DIRECTORY, there, planned.record)
    assert not again.changes
    assert again.record == planned.record
    back = plan_return(there, planned.record)
    assert after(there, back) == START
    assert back.record == Record()


def test_what_nobody_wants_any_more_is_put_back() -> None:
    first = plan(wanted(vm__swappiness="10", vm__dirty_ratio="40"), DIRECTORY, START, Record())
    there = after(START, first)
    second = plan(wanted(vm__dirty_ratio="40"), DIRECTORY, there, first.record)
    now = after(there, second)
    assert now.runtime["vm.swappiness"] == "60"
    assert values_in(now.drop_ins[f"{DIRECTORY}/a.conf"].text) == {"vm/dirty_ratio": "40"}
    assert list(second.record.keys) == ["vm.dirty_ratio"]


def test_a_file_that_somebody_changed_loses_only_our_lines() -> None:
    path = f"{DIRECTORY}/a.conf"
    start = Observed(START.runtime, {path: FileFacts("# mine\nvm.swappiness = 60\n", 0o640, 7, 8)})
    first = plan(wanted(vm__swappiness="10", vm__dirty_ratio="40"), DIRECTORY, start, Record())
    there = after(start, first)
    text = there.drop_ins[path].text + "kernel.panic = 5\n"
    edited = Observed(there.runtime, {path: FileFacts(text, 0o640, 7, 8)})
    back = plan_return(edited, first.record)
    assert back.edited == (path,)
    assert after(edited, back).drop_ins[path] == FileFacts(
        "# mine\nvm.swappiness = 60\nkernel.panic = 5\n", 0o640, 7, 8
    )


def test_a_key_that_is_gone_is_told() -> None:
    first = plan(wanted(vm__swappiness="10"), DIRECTORY, START, Record())
    back = plan_return(Observed({}, after(START, first).drop_ins), first.record)
    assert back.gone == ("vm.swappiness",)


def test_drift_is_told_of_kernel_and_file() -> None:
    first = plan(wanted(vm__swappiness="10"), DIRECTORY, START, Record())
    there = after(START, first)
    assert drift(there, first.record) == []
    moved = Observed({**there.runtime, "vm.swappiness": "33"}, {})
    assert drift(moved, first.record) == [
        {"key": "vm.swappiness", "where": "runtime", "expected": "10", "found": "33"},
        {"key": "vm.swappiness", "where": f"{DIRECTORY}/a.conf", "expected": "10", "found": ""},
    ]


def test_another_file_that_wins_is_told_and_the_reference_s_comments_do_not_count() -> None:
    others = (SysctlFile("/etc/sysctl.conf", "vm.swappiness = 60\nvm.dirty_ratio=40 #default value 20\n"),)
    observed = Observed(START.runtime, {}, others)
    planned = plan(wanted(vm__swappiness="10", vm__dirty_ratio="40"), DIRECTORY, observed, Record())
    assert overrides(planned.record, planned, observed) == [
        {
            "key": "vm.swappiness",
            "wanted": "10",
            "reader": BY_COMMAND,
            "path": "/etc/sysctl.conf",
            "line": 1,
            "value": "60",
        }
    ]


VALUES = st.integers(0, 99).map(str)
CALLS = st.lists(
    st.dictionaries(st.sampled_from(KEYS), st.tuples(VALUES, st.sampled_from(FILES))), min_size=1, max_size=4
)
TEXTS = st.lists(
    st.sampled_from(
        ("# note", "", "vm.swappiness=60 #default", "vm.dirty_ratio = 7", "x", "; y", "kernel.sem = 1 2 3 4")
    )
).map("\n".join)


@given(CALLS, st.dictionaries(st.sampled_from(FILES), TEXTS), st.integers(0, 3))
def test_whatever_was_asked_for_the_way_back_leads_to_the_start(
    calls: list[dict[str, tuple[str, str]]], texts: dict[str, str], crash: int
) -> None:
    """With a crash in one of the calls, after any number of its changes."""
    start = Observed(START.runtime, {f"{DIRECTORY}/{name}": FileFacts(text, 0o600) for name, text in texts.items()})
    host, record = start, Record()
    for number, call in enumerate(calls):
        aims = [Wanted(key, value, file, "keys") for key, (value, file) in call.items()]
        planned = plan(aims, DIRECTORY, host, record)
        whole = after(host, planned)
        if number == crash:
            part = Plan(planned.key_changes[:1], planned.file_changes[:1], planned.record)
            host, record = after(host, part), from_text(merged(record, planned.record).to_text())
            continue
        host, record = whole, from_text(planned.record.to_text())
        for item in aims:
            assert host.runtime[item.key] == item.value
            assert values_in(host.drop_ins[f"{DIRECTORY}/{item.file}"].text)[key_path(item.key)] == item.value
        assert not plan(aims, DIRECTORY, host, record).changes
    assert after(host, plan_return(host, record)) == start
