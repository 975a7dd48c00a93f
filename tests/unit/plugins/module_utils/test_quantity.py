"""Quantities: the Kubernetes grammar, and nothing else."""

from __future__ import annotations

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.errors import InvalidInput
from ansible_collections.ocpv.scale.plugins.module_utils.quantity import (
    format_bits,
    format_bytes,
    format_cpu,
    format_duration,
    parse_bytes,
    parse_count,
    parse_cpu,
    parse_duration,
    parse_rate,
)
from hypothesis import given
from hypothesis import strategies as st

SUFFIXES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


@pytest.mark.parametrize(
    ("text", "millicores"),
    [("2", 2000), ("250m", 250), ("0.1", 100), (".5", 500), (1.5, 1500), ("1e1", 10_000), ("100u", 1), (3, 3000)],
)
def test_cpu_becomes_millicores_rounded_up(text: str | float, millicores: int) -> None:
    assert parse_cpu(text) == millicores


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4Gi", 4 * 2**30),
        ("4G", 4 * 10**9),
        ("64Mi", 64 * 2**20),
        ("1.5Gi", 3 * 2**29),
        ("1500m", 2),
        ("12e6", 12 * 10**6),
        ("128974848", 128974848),
        (1024, 1024),
    ],
)
def test_memory_becomes_bytes(text: str | int, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "Gi", "4 Gi", "4GB", "4gi", "1..5", "abc", "0x10", None, True, [], "1e", "--1"])
def test_other_text_is_refused_with_the_options_name(text: object) -> None:
    with pytest.raises(InvalidInput) as raised:
        parse_bytes(text, "headroom_memory")  # type: ignore[arg-type]
    assert raised.value.option == "headroom_memory"
    assert "quantity" in str(raised.value)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), (90, 90), ("1m30s", 90), ("1h", 3600), ("500ms", 0.5), ("1.5h", 5400), ("0", 0)]
)
def test_durations(text: str | int, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-5", "5 m", "1d", "nan", "inf", "30s1", True])
def test_bad_durations_are_refused(text: object) -> None:
    with pytest.raises(InvalidInput, match="timeout"):
        parse_duration(text, "timeout")  # type: ignore[arg-type]


@given(number=st.integers(0, 10**6), suffix=st.sampled_from(sorted(SUFFIXES)))
def test_suffix_multiplies(number: int, suffix: str) -> None:
    assert parse_bytes(f"{number}{suffix}") == number * SUFFIXES[suffix]
    assert parse_count(f"{number}{suffix}") == number * SUFFIXES[suffix]


@given(millicores=st.integers(0, 10**7))
def test_cpu_for_people_reads_back_the_same(millicores: int) -> None:
    assert parse_cpu(format_cpu(millicores)) == millicores


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59.4, "59s"), (59.6, "1m00s"), (75, "1m15s"), (3599.9, "1h00m"), (3700, "1h01m")]
)
def test_durations_for_people(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1023 B"), (4 * 2**30, "4.0 GiB"), (2**40, "1.0 TiB"), (2**51, "2048.0 TiB")]
)
def test_bytes_for_people(size: int, text: str) -> None:
    assert format_bytes(size) == text


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("25Gbit/s", 3_125_000_000),
        ("25Gbit", 3_125_000_000),
        ("25Gbps", 3_125_000_000),
        ("25 Gb/s", 3_125_000_000),
        ("25Gb", 3_125_000_000),
        ("100Mbit/s", 12_500_000),
        ("9bit/s", 2),
        ("3G", 3 * 10**9),
        ("3GB/s", 3 * 10**9),
        ("3GBps", 3 * 10**9),
        ("1250Mi", 1250 * 2**20),
        ("1250MiB/s", 1250 * 2**20),
        (1000, 1000),
    ],
)
def test_rates_are_bytes_unless_they_say_bits(text: str | int, rate: int) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "fast", "25Gbits", "bit/s", "3GHz", True, "25Gbit/s/s"])
def test_what_is_no_rate_is_refused(text: str | bool) -> None:
    with pytest.raises(InvalidInput, match="link: .* bits such as 25Gbit/s"):
        parse_rate(text, "link")


@pytest.mark.parametrize(("rate", "text"), [(1.25e9, "10 Gbit/s"), (12.5e6, "100 Mbit/s"), (3.125e8, "2.5 Gbit/s")])
def test_links_are_named_in_bits(rate: float, text: str) -> None:
    assert format_bits(rate) == text
