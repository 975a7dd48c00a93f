# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plans in files: YAML or JSON, as people and jobs hand them on."""

from __future__ import annotations

import json
from typing import Any

from ..errors import InvalidInput
from .plan import Plan, edited, parse_plan

try:
    import yaml
except ImportError:  # comes with Ansible; JSON works without
    yaml = None  # type: ignore[assignment]


def read_document(path: str, option: str = "plan_file") -> Any:
    """Return the document in a YAML or JSON file. Raises InvalidInput naming C(option) if there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError as error:
        raise InvalidInput(option, path, f"it cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(option, path, "it is not UTF-8 text, so neither YAML nor JSON") from error
    try:
        return json.loads(text)
    except ValueError as error:
        if yaml is None:
            raise InvalidInput(option, path, f"it is not JSON ({error}), and PyYAML is missing for YAML") from error
    try:
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise InvalidInput(option, path, f"it is neither YAML nor JSON: {' '.join(str(error).split())}") from error


def to_text(plan: Plan, path: str) -> str:
    """Return the plan as text: JSON if the path ends in .json, else YAML. Raises InvalidInput naming dest."""
    document = plan.to_dict()
    if path.endswith(".json"):
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    if yaml is None:
        raise InvalidInput("dest", path, "PyYAML is missing, so only a file that ends in .json can be written")
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return str(yaml.dump(document, Dumper=dumper, sort_keys=False, allow_unicode=True, width=120))


def holds(path: str, plan: Plan) -> bool:
    """Tell whether the file holds a plan that does the same, made of the same state of the cluster, with its digest."""
    try:
        document = read_document(path)
        there = parse_plan(document)
    except InvalidInput:
        return False
    return not edited(document, there) and there.digest == plan.digest and there.snapshot_at == plan.snapshot_at
