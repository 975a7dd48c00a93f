# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write a report's files on the host where the module runs."""

from __future__ import annotations

import json
import os
import tempfile
from typing import TYPE_CHECKING, Any

from ..record import parse_record
from .model import build_report
from .page import render_page

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def write_report(module: AnsibleModule) -> dict[str, Any]:
    """Write report.html and report.json into the module's C(dest) unless they are there with the same content.

    Returns the module's result. Fails the module for a run that is no run record and for a folder that cannot be used.
    """
    params = module.params
    try:
        record = parse_record(params["run"])
        report = build_report(record, params["plan"], params["title"])
    except (KeyError, TypeError) as error:
        module.fail_json(
            msg=f"run: this is not the record of a run ({type(error).__name__}: {error}). "
            "Pass the value 'run' that rebalance_run returned, and the value 'plan' that rebalance_plan returned."
        )
    dest = params["dest"]
    parent = os.path.dirname(os.path.abspath(dest))
    if not os.path.isdir(parent) or (os.path.exists(dest) and not os.path.isdir(dest)):
        module.fail_json(msg=f"dest: {dest!r} cannot be used: a folder is needed whose parent {parent} exists.")
    files = {
        "html": (os.path.join(dest, "report.html"), render_page(report)),
        "json": (os.path.join(dest, "report.json"), json.dumps(report, indent=2, sort_keys=True) + "\n"),
    }
    changed = False
    for path, text in files.values():
        changed = _write(module, path, text) or changed
    return {"changed": changed, "report": report, **{name: path for name, (path, text) in files.items()}}


def _write(module: AnsibleModule, path: str, text: str) -> bool:
    content = text.encode()
    if os.path.exists(path):
        with open(path, "rb") as file:
            if file.read() == content:
                return False
    if not module.check_mode:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=module.tmpdir)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        module.atomic_move(temporary, path)
    return True
