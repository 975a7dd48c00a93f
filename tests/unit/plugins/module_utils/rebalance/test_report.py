"""The report's content and its page, from records made here."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.record import (
    Attempt,
    Item,
    RunRecord,
    StageRecord,
    parse_record,
)
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.report import svg
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.report.model import build_report
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.report.page import render_page

GIB = 2**30


def node(name: str, cpu: int, memory_gib: int) -> dict[str, Any]:
    return {
        "name": name,
        "capacity_cpu_millicores": 40_000,
        "capacity_memory_bytes": 100 * GIB,
        "capacity_pods": 250,
        "requested_cpu_millicores": cpu,
        "requested_memory_bytes": memory_gib * GIB,
        "allocated_cpu_millicores": 0,
        "allocated_memory_bytes": 0,
        "used_cpu_millicores": None,
        "used_memory_bytes": None,
        "virtual_machines": 3,
        "pods": 10,
    }


def item(number: int, start: int, seconds: int, **values: Any) -> Item:
    settings: dict[str, Any] = {
        "id": f"m{number:04d}",
        "namespace": "shop",
        "name": f"vm-{number}",
        "mode": "live",
        "source": "worker-1",
        "target": "worker-2",
        "stage": "canary",
        "wave": 1,
        "status": "succeeded",
        "predicted_seconds": 10.0,
        "actual_seconds": float(seconds),
        "attempts": [
            Attempt(
                1,
                f"ocpv-run-m{number:04d}-1",
                f"2026-01-01T00:{start // 60:02d}:{start % 60:02d}Z",
                f"2026-01-01T00:{(start + seconds) // 60:02d}:{(start + seconds) % 60:02d}Z",
                "succeeded",
            )
        ],
    }
    return Item(**{**settings, **values})


@pytest.fixture
def record() -> RunRecord:
    return RunRecord(
        run_id="f91dabfcbb",
        plan_id="20260101-000000-ab12",
        plan_digest="sha256:00",
        cluster_uid="uid",
        status="completed",
        started_at="2026-01-01T00:00:00Z",
        ended_at="2026-01-01T00:01:30Z",
        stages=[StageRecord("canary", "completed", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z")],
        items=[
            item(1, 0, 14),
            item(2, 5, 20),
            item(3, 30, 10, mode="cold"),
            item(
                4,
                40,
                20,
                status="failed",
                code="completion_timeout",
                message="aborted after 20 s <b>",
                hint="Use auto-converge.",
                actual_seconds=None,
            ),
        ],
        nodes_before=[node("worker-1", 36_000, 80), node("worker-2", 4_000, 10)],
        nodes_after=[node("worker-1", 20_000, 45), node("worker-2", 20_000, 45)],
    )


def test_report_compares_predicted_with_actual_for_successful_moves_only(record: RunRecord) -> None:
    durations = build_report(record)["durations"]
    assert durations["moves_compared"] == 3
    assert durations["median_actual_to_predicted"] == 1.4
    assert durations["actual_seconds"] == 60


def test_report_measures_balance_before_and_after(record: RunRecord) -> None:
    balance = build_report(record)["balance"]
    assert balance["cpu"]["before"] == {"maximum": 0.9, "mean": 0.5, "standard_deviation": 0.4}
    assert balance["memory"]["after"] == {"maximum": 0.45, "mean": 0.45, "standard_deviation": 0.0}
    assert balance["cpu"]["planned"] is None


DIAGNOSIS = {
    "symptom": "network_saturation",
    "likely_cause": "Several migrations shared the link <of> one node.",
    "evidence": ["4 migrations left worker-1 at that time."],
    "settings": [
        {
            "module": "hco_migration_config",
            "option": "parallel_outbound_migrations_per_node",
            "current": 4,
            "suggested": 2,
        }
    ],
    "remedy": "Let fewer migrations run at once.",
    "source": "live-migration guide, Issue 2: Network Saturation",
}


def test_report_tells_why_moves_failed_or_were_late(record: RunRecord) -> None:
    record.items[0].diagnoses = [DIAGNOSIS]
    record.items[3].diagnoses = [{**DIAGNOSIS, "evidence": ["The limit was 100 s."], "settings": []}]
    report = build_report(parse_record(record.to_dict()))
    (late,) = report["late"]
    assert (late["virtual_machine"], late["diagnoses"]) == ("shop/vm-1", [DIAGNOSIS])
    assert [found["evidence"] for found in report["failures"][0]["diagnoses"]] == [["The limit was 100 s."]]
    page = render_page(report)
    assert "4 migrations left worker-1 at that time." in page
    assert "The limit was 100 s." in page
    assert "hco_migration_config: parallel_outbound_migrations_per_node 2 (now 4) would change it." in page
    assert "shared the link &lt;of&gt; one node" in page


def test_report_without_late_moves_does_not_speak_of_them(record: RunRecord) -> None:
    assert build_report(record)["late"] == []
    assert "longer than predicted" not in render_page(build_report(record))


def test_report_lists_failures_with_their_hints(record: RunRecord) -> None:
    (failure,) = build_report(record)["failures"]
    assert (failure["virtual_machine"], failure["code"], failure["hint"]) == (
        "shop/vm-4",
        "completion_timeout",
        "Use auto-converge.",
    )


def test_record_survives_being_a_document(record: RunRecord) -> None:
    assert parse_record(record.to_dict()) == record


def test_timeline_has_as_many_rows_as_moves_ran_at_once(record: RunRecord) -> None:
    rows = svg.lanes(build_report(record)["timeline"])
    assert [[entry["id"] for entry in row] for row in rows] == [["m0001", "m0003", "m0004"], ["m0002"]]


class Page(HTMLParser):
    """Collects the tags, checks that they nest, and collects every address that the page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for key, value in attrs if key in ("src", "href")]
        if tag not in ("meta", "link", "br", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_page_is_whole_and_loads_nothing(record: RunRecord) -> None:
    page = Page()
    page.feed(render_page(build_report(record)))
    assert page.open == []
    assert page.addresses == []
    assert "script" not in page.tags
    assert page.tags.count("svg") == 6


def test_page_escapes_what_comes_from_the_cluster(record: RunRecord) -> None:
    text = render_page(build_report(record))
    assert "aborted after 20 s &lt;b&gt;" in text
    assert "20 s <b>" not in text


def test_page_of_a_run_that_moved_nothing_has_no_pictures_of_moves(record: RunRecord) -> None:
    record.items = []
    page = Page()
    page.feed(render_page(build_report(record)))
    assert "Timeline" not in page.text
    assert page.tags.count("svg") == 4
