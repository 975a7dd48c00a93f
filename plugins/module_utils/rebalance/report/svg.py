# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report's pictures as SVG text. Colours are CSS classes of the page, so that dark and light are one drawing."""

from __future__ import annotations

import math
from html import escape
from typing import Any, Mapping, Optional, Sequence

# drawn about as wide as they are shown, so that text keeps its size: two beside each other on a desktop, one on a phone
WIDTH = 440
TIMELINE_WIDTH = 1000
LABEL_WIDTH = 110
ROW_HEIGHT = 18
LANE_HEIGHT = 14


def _element(name: str, text: str = "", **attributes: Any) -> str:
    rendered = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"' for key, value in attributes.items()
    )
    return f"<{name}{rendered}>{text}</{name}>"


def _picture(height: float, label: str, parts: Sequence[str], width: int = WIDTH) -> str:
    body = _element("title", escape(label)) + "".join(parts)
    return _element("svg", body, viewBox=f"0 0 {width} {height:.0f}", role="img", aria_label=label)


def _text(x: float, y: float, text: str, **attributes: Any) -> str:
    return _element("text", escape(text), x=f"{x:.1f}", y=f"{y:.1f}", **attributes)


def _ticks(end: float) -> list[float]:
    """Round values from 0 up to at most the end of an axis, four to ten of them."""
    power = math.pow(10.0, math.floor(math.log10(end)))
    step = next(step * power for step in (0.1, 0.2, 0.25, 0.5, 1.0, 2.0) if end / (step * power) <= 8)
    return [step * number for number in range(int(end / step + 1e-9) + 1)]


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Return each name's first DNS label where that still tells the names apart, at most 16 characters with its end."""
    heads = {name: name.split(".", 1)[0] for name in names}
    if len(set(heads.values())) < len(heads):
        heads = {name: name for name in names}
    return {name: head if len(head) <= 16 else f"…{head[-15:]}" for name, head in heads.items()}


def node_rows(nodes: Sequence[Mapping[str, Any]], resource: str) -> str:
    """One row a node: a hollow dot for the load before, a full one for the load after, a line between them.

    Loads are shares of capacity; the axis ends at 100 % or at the highest load if that is more.
    """
    loads = [node[when][resource] for node in nodes for when in ("before", "after") if node[when]]
    end: float = max([1.0] + [load for load in loads if load is not None])
    plot = WIDTH - LABEL_WIDTH - 20
    labels = short_names([node["name"] for node in nodes])

    def place(load: float) -> float:
        return LABEL_WIDTH + plot * load / end

    height = ROW_HEIGHT * len(nodes) + 30
    parts = []
    for tick in (0, 0.25, 0.5, 0.75, 1.0):
        x = place(tick)
        parts.append(_element("line", x1=f"{x:.1f}", x2=f"{x:.1f}", y1=4, y2=height - 20, class_="grid"))
        parts.append(_text(x, height - 6, f"{tick:.0%}", class_="tick", text_anchor="middle"))
    for row, node in enumerate(nodes):
        y = ROW_HEIGHT * row + 14
        before, after = (node[when][resource] if node[when] else None for when in ("before", "after"))
        told = f"{node['name']}: {_percent(before)} before, {_percent(after)} after"
        marks = [
            _element("title", escape(told)),
            _text(LABEL_WIDTH - 8, y + 4, labels[node["name"]], text_anchor="end"),
        ]
        if before is not None and after is not None:
            marks.append(
                _element("line", x1=f"{place(before):.1f}", x2=f"{place(after):.1f}", y1=y, y2=y, class_="change")
            )
        for load, kind in ((before, "before"), (after, "after")):
            if load is not None:
                marks.append(_element("circle", cx=f"{place(load):.1f}", cy=y, r=5, class_=kind))
        parts.append(_element("g", "".join(marks)))
    return _picture(height, f"{resource} requested on each node, before and after", parts)


def load_curve(nodes: Sequence[Mapping[str, Any]], resource: str) -> str:
    """Node loads sorted from high to low, before and after: a flat line is a balanced cluster."""
    height, bottom, left = 240, 210, 50
    curves = []
    top = 1.0
    for when in ("before", "planned", "after"):
        loads = sorted((node[when][resource] or 0 for node in nodes if node[when]), reverse=True)
        if loads:
            top = max(top, loads[0])
            curves.append((when, loads))
    parts = []
    for tick in (0, 0.25, 0.5, 0.75, 1.0):
        y = bottom - (bottom - 15) * tick / top
        parts.append(_element("line", x1=left, x2=WIDTH - 10, y1=f"{y:.1f}", y2=f"{y:.1f}", class_="grid"))
        parts.append(_text(left - 6, y + 4, f"{tick:.0%}", class_="tick", text_anchor="end"))
    for when, loads in curves:
        step = (WIDTH - left - 10) / max(1, len(loads) - 1)
        points = " ".join(
            f"{left + step * index:.1f},{bottom - (bottom - 15) * load / top:.1f}" for index, load in enumerate(loads)
        )
        parts.append(_element("polyline", _element("title", when), points=points, class_=f"curve {when}"))
    parts.append(_text((left + WIDTH) / 2, height - 8, "nodes, fullest first", class_="tick", text_anchor="middle"))
    return _picture(height, f"{resource} requested per node, sorted, before and after", parts)


def lanes(entries: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Put entries that do not overlap in time into the same lane; the number of lanes is the most that ran at once."""
    result: list[list[Mapping[str, Any]]] = []
    for entry in sorted(entries, key=lambda item: (item["start_seconds"], item["id"])):
        for lane in result:
            if lane[-1]["end_seconds"] <= entry["start_seconds"]:
                lane.append(entry)
                break
        else:
            result.append([entry])
    return result


def timeline(entries: Sequence[Mapping[str, Any]], stages: Sequence[str]) -> str:
    """The moves as bars over time; each row is one slot, so the picture's height shows how many ran at once."""
    shown = [entry for entry in entries if entry["start_seconds"] is not None and entry["end_seconds"] is not None]
    rows = lanes(shown)
    end = max(1.0, max((float(entry["end_seconds"]) for entry in shown), default=1.0))
    height = LANE_HEIGHT * len(rows) + 50
    left, plot = 10, TIMELINE_WIDTH - 20
    parts = []
    for tick in _ticks(end):
        x = left + plot * tick / end
        parts.append(_element("line", x1=f"{x:.1f}", x2=f"{x:.1f}", y1=18, y2=height - 24, class_="grid"))
        anchor = "start" if tick == 0 else "end" if tick > 0.97 * end else "middle"
        parts.append(_text(x, height - 8, f"{tick:g} s", class_="tick", text_anchor=anchor))
    for stage in stages:
        starts = [entry["start_seconds"] for entry in shown if entry["stage"] == stage]
        if starts:
            x = left + plot * min(starts) / end
            parts.append(_element("line", x1=f"{x:.1f}", x2=f"{x:.1f}", y1=4, y2=height - 24, class_="stage"))
            parts.append(_text(min(x + 3, TIMELINE_WIDTH - 70), 12, stage, class_="tick"))
    for row, lane in enumerate(rows):
        for entry in lane:
            x = left + plot * entry["start_seconds"] / end
            width = max(1.5, plot * (entry["end_seconds"] - entry["start_seconds"]) / end - 0.5)
            took = entry["end_seconds"] - entry["start_seconds"]
            told = (
                f"{entry['virtual_machine']}: {entry['source']} to {entry['target']}, {entry['mode']}, "
                f"{entry['status']}, {took:.0f} s (predicted {entry['predicted_seconds']:.0f} s)"
            )
            parts.append(
                _element(
                    "rect",
                    _element("title", escape(told)),
                    x=f"{x:.1f}",
                    y=20 + LANE_HEIGHT * row,
                    width=f"{width:.1f}",
                    height=LANE_HEIGHT - 3,
                    rx=2,
                    class_=f"move {entry['mode']} {entry['status']}",
                )
            )
    return _picture(height, f"timeline of {len(shown)} moves, at most {len(rows)} at once", parts, TIMELINE_WIDTH)


def predicted_against_actual(entries: Sequence[Mapping[str, Any]]) -> str:
    """Each finished move as a dot: predicted seconds to the right, actual seconds upwards; on the line they agree."""
    pairs = [
        (entry["predicted_seconds"], entry["actual_seconds"], entry["virtual_machine"], entry["mode"])
        for entry in entries
        if entry["predicted_seconds"] and entry["actual_seconds"]
    ]
    end = max(1.0, max((float(max(pair[:2])) for pair in pairs), default=1.0))
    height, left, bottom, top = 320, 60, 280, 10
    side = bottom - top
    right = WIDTH - 20

    def across(value: float) -> float:
        return left + (right - left) * value / end

    def up(value: float) -> float:
        return bottom - side * value / end

    parts = [
        _element(
            "line",
            x1=f"{across(0):.1f}",
            y1=f"{up(0):.1f}",
            x2=f"{across(end):.1f}",
            y2=f"{up(end):.1f}",
            class_="grid",
        )
    ]
    for value in _ticks(end):
        parts.append(_text(across(value), bottom + 16, f"{value:g}", class_="tick", text_anchor="middle"))
        parts.append(_text(left - 6, up(value) + 4, f"{value:g}", class_="tick", text_anchor="end"))
    parts.append(_text((left + right) / 2, height - 6, "predicted seconds", class_="tick", text_anchor="middle"))
    parts.append(_text(left, top + 2, "actual seconds", class_="tick"))
    for predicted, actual, name, mode in pairs:
        told = f"{name}: predicted {predicted:.0f} s, took {actual:.0f} s"
        mark = _element("title", escape(told))
        parts.append(
            _element("circle", mark, cx=f"{across(predicted):.1f}", cy=f"{up(actual):.1f}", r=4, class_=f"dot {mode}")
        )
    return _picture(height, f"predicted against actual duration of {len(pairs)} moves", parts)


def _percent(share: Optional[float]) -> str:
    return "unknown" if share is None else f"{share:.0%}"
