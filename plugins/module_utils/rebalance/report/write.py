# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write a report's files on the host where the module runs."""

from __future__ import annotations

import json
import os
import tempfile
from typing import TYPE_CHECKING, Any

from ...errors import InvalidInput
from ..record import read_record
from .model import build_report
from .page import render_page

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def write_report(module: AnsibleModule) -> dict[str, Any]:
    """Write report.html and report.json into the module's C(dest) unless they are there with the same content.

    Returns the module's result. Raises InvalidInput for a run that is no run record and a folder that cannot be used.
    """
    params = module.params
    report = build_report(read_record(params["run"]), params["plan"], params["title"])
    dest = params["dest"]
    parent = os.path.dirname(os.path.abspath(dest))
    if not os.path.isdir(parent) or (os.path.exists(dest) and not os.path.isdir(dest)):
        raise InvalidInput("dest", dest, f"a folder is needed whose parent {parent} exists")
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
