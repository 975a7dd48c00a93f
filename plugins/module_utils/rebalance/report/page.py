# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report as one HTML page that needs nothing else: no scripts, no fonts, no network."""

from __future__ import annotations

from html import escape
from typing import Any, Mapping, Optional, Sequence

from ...quantity import format_duration
from . import svg

_STYLE = """
:root { color-scheme: light dark; --text: #1d2530; --muted: #5c6773; --paper: #fff; --card: #f4f6f8; --line: #d5dae0;
  --before: #8a94a0; --after: #0b62c1; --planned: #5aa469; --cold: #8250a8; --failed: #c2342b; --skipped: #b7791f; }
@media (prefers-color-scheme: dark) { :root { --text: #e6eaef; --muted: #a3adb8; --paper: #14181d; --card: #1f252c;
  --line: #3a434d; --before: #98a3af; --after: #58a6ff; --planned: #7cc48b; --cold: #c297e8; --failed: #ff7b72;
  --skipped: #e3b341; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1100px; padding: 1rem; font: 16px/1.5 system-ui, sans-serif; color: var(--text);
  background: var(--paper); overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: .5rem 0; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p, li { max-width: 75ch; } .muted { color: var(--muted); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: .6rem; }
.tile { background: var(--card); border-radius: 8px; padding: .6rem .8rem; }
.tile b { display: block; font-size: 1.3rem; } .tile.bad b { color: var(--failed); }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 1rem; }
.two > * { min-width: 0; } figure { margin: 0; } figcaption { color: var(--muted); font-size: .9rem; }
.scroll { overflow-x: auto; } .scroll svg { min-width: 640px; } figure.small { max-width: 560px; }
svg { width: 100%; height: auto; display: block; }
svg text { font: 11px system-ui, sans-serif; fill: var(--text); } svg .tick { fill: var(--muted); }
svg .grid { stroke: var(--line); stroke-width: 1; } svg .stage { stroke: var(--muted); stroke-dasharray: 3 3; }
svg .change { stroke: var(--after); stroke-width: 2; opacity: .5; }
svg circle.before { fill: var(--paper); stroke: var(--before); stroke-width: 2; }
svg circle.after { fill: var(--after); }
svg .curve { fill: none; stroke-width: 2.5; } svg .curve.before { stroke: var(--before); }
svg .curve.planned { stroke: var(--planned); stroke-dasharray: 5 4; } svg .curve.after { stroke: var(--after); }
svg .move, svg .dot { fill: var(--after); } svg .cold { fill: var(--cold); } svg .failed { fill: var(--failed); }
svg .skipped { fill: var(--skipped); } svg .dot { opacity: .6; }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 50%; margin: 0 .3em 0 .8em; }
table { overflow-wrap: normal; border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: .3rem .5rem;
  border-bottom: 1px solid var(--line); vertical-align: top; } th { color: var(--muted); font-weight: 600; }
.failure { border-left: 4px solid var(--failed); background: var(--card); padding: .5rem .8rem; margin: .6rem 0;
  border-radius: 0 8px 8px 0; } .failure p { margin: .2rem 0; }
details summary { cursor: pointer; padding: .4rem 0; }
@media print { details { display: none; } }
"""
_ROWS_SHOWN = 30


def render_page(report: Mapping[str, Any]) -> str:
    """Return the page for a report that build_report made. Everything that comes from the cluster is escaped."""
    sections = [
        _head(report),
        _tiles(report),
        _failures(report["failures"]),
        _late(report["late"]),
        _nodes(report),
        _timeline(report),
        _accuracy(report),
        _stages(report["stages"]),
        _remarks(report),
        _moves(report["timeline"]),
    ]
    title = escape(report["title"])
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(section for section in sections if section)
        + "\n</main>\n</body>\n</html>\n"
    )


def _head(report: Mapping[str, Any]) -> str:
    run = report["run"]
    parts = [f"<h1>{escape(report['title'])}</h1>"]
    told = f"Run {run['id']} of plan {report['plan']['id']}: <strong>{escape(run['status'])}</strong>"
    times = " to ".join(escape(run[key]) for key in ("started_at", "ended_at") if run[key])
    resumed = f", resumed {run['resumed']} time{'s' if run['resumed'] != 1 else ''}" if run["resumed"] else ""
    parts.append(f"<p>{told}, {times}{resumed}.</p>")
    for key in ("message", "hint"):
        if run[key]:
            parts.append(f"<p>{escape(run[key])}</p>")
    return "".join(parts)


def _tiles(report: Mapping[str, Any]) -> str:
    counts, durations = report["run"]["counts"], report["durations"]
    total = sum(counts.values())
    tiles = [
        ("moved", f"{counts['succeeded']} of {total}", False),
        ("failed", str(counts["failed"]), counts["failed"] > 0),
        ("skipped or not attempted", str(counts["skipped"] + counts["not_attempted"]), False),
        ("took", _duration(durations["actual_seconds"]), False),
        ("predicted", _duration(durations["predicted_seconds"]), False),
    ]
    for resource, name in (("cpu", "CPU"), ("memory", "memory")):
        balance = report["balance"][resource]
        if balance["before"]:
            after = balance["after"] or balance["planned"]
            change = _percent(balance["before"]["maximum"])
            if after:
                change += f" → {_percent(after['maximum'])}"
            tiles.append((f"fullest node, {name}", change, False))
    cells = (
        f'<div class="tile{" bad" if bad else ""}"><b>{escape(value)}</b>{escape(label)}</div>'
        for label, value, bad in tiles
    )
    return f'<div class="tiles">{"".join(cells)}</div>'


def _failures(failures: Sequence[Mapping[str, Any]]) -> str:
    if not failures:
        return ""
    parts = ["<h2>What did not go as planned</h2>"]
    for failure in failures:
        parts.append(
            f'<div class="failure"><p><strong>{escape(failure["virtual_machine"])}</strong> '
            f"({escape(failure['source'])} to {escape(failure['target'])}): {escape(failure['status'])}, "
            f"{escape(failure['code'])}</p><p>{escape(failure['message'])}</p>"
            + (f'<p class="muted">{escape(failure["hint"])}</p>' if failure["hint"] else "")
            + _diagnoses(failure["diagnoses"])
            + "</div>"
        )
    return "".join(parts)


def _late(moves: Sequence[Mapping[str, Any]]) -> str:
    if not moves:
        return ""
    parts = ["<h2>What took much longer than predicted</h2>"]
    for move in moves:
        parts.append(
            f'<div class="failure"><p><strong>{escape(move["virtual_machine"])}</strong> '
            f"({escape(move['source'])} to {escape(move['target'])})</p>{_diagnoses(move['diagnoses'])}</div>"
        )
    return "".join(parts)


def _diagnoses(diagnoses: Sequence[Mapping[str, Any]]) -> str:
    parts = []
    for diagnosis in diagnoses:
        facts = list(diagnosis["evidence"])
        for setting in diagnosis["settings"]:
            now = "" if setting["current"] is None else f" (now {setting['current']})"
            facts.append(f"{setting['module']}: {setting['option']} {setting['suggested']}{now} would change it.")
        listed = "".join(f"<li>{escape(str(fact))}</li>" for fact in facts)
        parts.append(
            f"<p>{escape(diagnosis['symptom'])}: {escape(diagnosis['likely_cause'])}</p><ul>{listed}</ul>"
            f'<p class="muted">{escape(diagnosis["remedy"])} ({escape(diagnosis["source"])})</p>'
        )
    return "".join(parts)


def _nodes(report: Mapping[str, Any]) -> str:
    nodes = report["nodes"]
    if not nodes:
        return ""
    key = (
        '<p class="muted">Requested share of each node\'s capacity:'
        '<span class="key" style="background:var(--before)"></span>before'
        '<span class="key" style="background:var(--planned)"></span>planned'
        '<span class="key" style="background:var(--after)"></span>after</p>'
    )
    curves = "".join(
        f"<figure>{svg.load_curve(nodes, resource)}<figcaption>{label}, nodes sorted by load</figcaption></figure>"
        for resource, label in (("cpu", "CPU"), ("memory", "Memory"))
    )
    rows = "".join(
        f"<figure>{svg.node_rows(nodes, resource)}<figcaption>{label} by node</figcaption></figure>"
        for resource, label in (("cpu", "CPU"), ("memory", "Memory"))
    )
    by_node = f'<div class="two">{rows}</div>'
    if len(nodes) > _ROWS_SHOWN:
        by_node = f"<details><summary>Each of the {len(nodes)} nodes</summary>{by_node}</details>"
    return f'<h2>Nodes</h2>{key}<div class="two">{curves}</div>{by_node}'


def _timeline(report: Mapping[str, Any]) -> str:
    if not any(entry["end_seconds"] is not None for entry in report["timeline"]):
        return ""
    key = (
        '<p class="muted">Each bar is one VM, each row one slot:'
        '<span class="key" style="background:var(--after)"></span>live'
        '<span class="key" style="background:var(--cold)"></span>cold'
        '<span class="key" style="background:var(--failed)"></span>failed</p>'
    )
    picture = svg.timeline(report["timeline"], [stage["name"] for stage in report["stages"]])
    return f'<h2>Timeline</h2>{key}<figure class="scroll">{picture}</figure>'


def _accuracy(report: Mapping[str, Any]) -> str:
    durations = report["durations"]
    if not durations["moves_compared"]:
        return ""
    told = (
        f"In the median a move took {durations['median_actual_to_predicted']:.2f} times its predicted duration "
        f"({durations['moves_compared']} moves)."
    )
    picture = svg.predicted_against_actual(report["timeline"])
    return f'<h2>Predicted and actual</h2><p>{told}</p><figure class="small">{picture}</figure>'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table></div>'


def _stages(stages: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [stage["name"], stage["status"], str(stage["moves"]), str(stage["succeeded"]), str(stage["failed"])]
        + [_duration(stage["actual_seconds"]), stage["message"]]
        for stage in stages
    ]
    return "<h2>Stages</h2>" + _table(["stage", "status", "moves", "succeeded", "failed", "took", ""], rows)


def _remarks(report: Mapping[str, Any]) -> str:
    parts = []
    remarks = list(dict.fromkeys([*report["plan"]["warnings"], *report["warnings"]]))
    if remarks:
        parts.append("<h2>Warnings</h2><ul>" + "".join(f"<li>{escape(text)}</li>" for text in remarks) + "</ul>")
    left = report["plan"]["not_moved"]
    if left:
        rows = [[item["name"], "; ".join(item["reasons"])] for item in left]
        parts.append(
            f"<details><summary>Not moved by the plan ({len(left)})</summary>{_table(['name', 'why'], rows)}</details>"
        )
    return "".join(parts)


def _moves(timeline: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [entry["virtual_machine"], f"{entry['stage']} {entry['wave']}", entry["mode"], entry["source"], entry["target"]]
        + [entry["status"], _duration(entry["predicted_seconds"]), _duration(entry["actual_seconds"])]
        for entry in timeline
    ]
    head = ["VM", "stage, wave", "mode", "from", "to", "status", "predicted", "took"]
    return f"<details><summary>All {len(rows)} moves</summary>{_table(head, rows)}</details>"


def _duration(seconds: Optional[float]) -> str:
    return "–" if seconds is None else format_duration(seconds)


def _percent(share: Optional[float]) -> str:
    return "–" if share is None else f"{share:.0%}"
