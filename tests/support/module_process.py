"""Runs rebalance_run with the arguments given as JSON on standard input; prints its result."""

from __future__ import annotations

import json
import sys

from ansible_collections.ocpv.scale.plugins.modules import rebalance_run

from .modules import run_module_main

if __name__ == "__main__":
    print(json.dumps(run_module_main(rebalance_run.main, json.load(sys.stdin))))
