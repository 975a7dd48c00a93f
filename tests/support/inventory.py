"""Inventories for playbook runs: one host for each cluster, or for each thing to try on one."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

GROUP = "clusters"


def write_inventory(path: Path, hosts: Mapping[str, Mapping[str, Any]], **variables: Any) -> list[str]:
    """Write an inventory with these hosts, their variables, and variables for all; return the playbook's arguments."""
    everywhere = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, **variables}
    content = {GROUP: {"hosts": {name: dict(own) for name, own in hosts.items()}, "vars": everywhere}}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return ["-i", str(path), "--forks", "2"]
