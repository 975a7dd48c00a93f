#!/usr/bin/python
# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rebalance_report
short_description: Write the report of a rebalance as one HTML page and one JSON file
version_added: 0.1.0
author: the ocpv.scale contributors (@ocpv)
description:
  - Joins a plan and the record of its run, and writes C(report.html), for people, and C(report.json), for programs,
    into a folder.
  - The page shows node loads before and after, the moves as a timeline, predicted against actual durations, and every
    failure with its hint. It needs no network and no scripts.
extends_documentation_fragment:
  - ocpv.scale.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
  platform:
    support: full
options:
  run:
    description: The record of the run, as RV(ocpv.scale.rebalance_run#module:run) returns it.
    type: dict
    required: true
  plan:
    description:
      - The plan's document, as RV(ocpv.scale.rebalance_plan#module:plan) returns it.
      - Without it the report shows no forecast.
    type: dict
  dest:
    description: Folder to write to. It is made when it does not exist; its parent must exist.
    type: path
    required: true
  title:
    description: Heading of the page. The default names the run.
    type: str
    default: ""
seealso:
  - module: ocpv.scale.rebalance_run
  - module: ocpv.scale.rebalance_plan
"""

EXAMPLES = r"""
- name: Report what the run did
  ocpv.scale.rebalance_report:
    run: "{{ result.run }}"
    plan: "{{ planned.plan }}"
    dest: ./report
"""

RETURN = r"""
html:
  description: Path of the page.
  returned: always
  type: str
  sample: ./report/report.html
json:
  description: Path of the JSON file.
  returned: always
  type: str
  sample: ./report/report.json
report:
  description: The report's content, as the JSON file has it.
  returned: always
  type: dict
  sample:
    format: ocpv.scale/report
    version: 1
    title: Rebalance f91dabfcbb
    durations:
      predicted_seconds: 412.0
      actual_seconds: 431.0
      median_actual_to_predicted: 1.04
      moves_compared: 31
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ocpv.scale.plugins.module_utils.errors import OcpvError
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.report.write import write_report


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "run": {"type": "dict", "required": True},
            "plan": {"type": "dict"},
            "dest": {"type": "path", "required": True},
            "title": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(**write_report(module))
    except OcpvError as error:
        module.fail_json(msg=str(error), hint=error.hint, details=error.details, error=type(error).__name__)


if __name__ == "__main__":
    main()
