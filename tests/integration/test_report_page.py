"""The report's page in a real browser, at phone and desktop width."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.record import Attempt, Item, RunRecord, StageRecord
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.report.model import build_report
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.report.page import render_page
from selenium import webdriver
from selenium.webdriver.common.by import By

pytestmark = pytest.mark.browser
GIB = 2**30


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        missing = "Chromium and its driver are needed: run `make setup-system` on Debian, or install them"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-sync"):
        options.add_argument(argument)
    options.add_argument("--disable-background-networking")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)) as chrome:
        yield chrome


def node(name: str, share: float) -> dict[str, Any]:
    return {
        "name": name,
        "capacity_cpu_millicores": 40_000,
        "capacity_memory_bytes": 384 * GIB,
        "capacity_pods": 500,
        "requested_cpu_millicores": int(40_000 * share),
        "requested_memory_bytes": int(384 * GIB * share * 0.8),
        "allocated_cpu_millicores": 0,
        "allocated_memory_bytes": 0,
        "used_cpu_millicores": None,
        "used_memory_bytes": None,
        "virtual_machines": 30,
        "pods": 240,
    }


def large_record(nodes: int, moves: int) -> RunRecord:
    """A finished run with some failures, with names as long as clusters have them."""
    chance = random.Random(7)
    names = [f"worker-{number:03d}.cluster-production-east.example.com" for number in range(nodes)]
    items = []
    for number in range(moves):
        start, took = number // 20 * 15 + number % 7, chance.randint(8, 25)
        failed = number % 40 == 3
        items.append(
            Item(
                id=f"m{number:04d}",
                namespace="a-namespace-with-a-long-name",
                name=f"virtual-machine-with-a-rather-long-name-{number}",
                mode="cold" if number % 11 == 0 else "live",
                source=names[number % nodes],
                target=names[(number + 1) % nodes],
                stage="canary" if number < 5 else "dev-test",
                wave=1,
                status="failed" if failed else "succeeded",
                code="completion_timeout" if failed else "",
                message="aborted after 360 s, the limit for 18 GB" if failed else "",
                hint="Raise completionTimeoutPerGiB with a MigrationPolicy, or allow auto-converge." if failed else "",
                predicted_seconds=14.0,
                actual_seconds=None if failed else float(took),
                attempts=[
                    Attempt(
                        1,
                        "migration",
                        f"2026-01-01T00:{start // 60:02d}:{start % 60:02d}Z",
                        f"2026-01-01T00:{(start + took) // 60:02d}:{(start + took) % 60:02d}Z",
                    )
                ],
            )
        )
    return RunRecord(
        "f91dabfcbb",
        "20260101-000000-ab12",
        "sha256:00",
        "uid",
        status="completed",
        started_at="2026-01-01T00:00:00Z",
        ended_at="2026-01-01T00:06:00Z",
        stages=[StageRecord("canary", "completed"), StageRecord("dev-test", "completed")],
        items=items,
        nodes_before=[node(name, chance.uniform(0.1, 0.95)) for name in names],
        nodes_after=[node(name, chance.uniform(0.4, 0.6)) for name in names],
    )


@pytest.mark.parametrize(("nodes", "moves"), [(3, 0), (12, 40), (100, 300)])
@pytest.mark.parametrize("width", [390, 1280])
def test_page_fits_the_screen_and_shows_its_pictures(
    browser: webdriver.Chrome, tmp_path: Path, nodes: int, moves: int, width: int
) -> None:
    path = tmp_path / "report.html"
    path.write_text(render_page(build_report(large_record(nodes, moves))))
    # the window's smallest width is larger than a phone's: set the viewport instead
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    browser.get(path.as_uri())
    assert browser.execute_script("return window.innerWidth") == width
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.get_log("browser") == []
    for figure in browser.find_elements(By.CSS_SELECTOR, "figure"):
        if figure.is_displayed():
            assert 0 < figure.size["width"] <= width
            assert figure.size["height"] > 20
    for text in browser.find_elements(By.CSS_SELECTOR, "figure svg text")[:40]:
        if text.is_displayed():
            assert text.rect["height"] >= 8, f"{text.text} is too small to read"
    headings = [heading.text for heading in browser.find_elements(By.TAG_NAME, "h2")]
    assert ("Timeline" in headings) == (moves > 0)
    assert len(browser.find_elements(By.CSS_SELECTOR, "rect.move")) == moves
    assert len(browser.find_elements(By.CLASS_NAME, "failure")) == sum(number % 40 == 3 for number in range(moves))


def test_details_open_without_scripts(browser: webdriver.Chrome, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(render_page(build_report(large_record(100, 40))))
    browser.get(path.as_uri())
    details = browser.find_elements(By.TAG_NAME, "details")[-1]
    row = details.find_elements(By.CSS_SELECTOR, "tbody tr")[0]
    assert not row.is_displayed()
    details.find_element(By.TAG_NAME, "summary").click()
    assert row.is_displayed()
