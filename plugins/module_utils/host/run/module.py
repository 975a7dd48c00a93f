# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What modules for managed hosts do alike. They need nothing on the host but its Python."""

from __future__ import annotations

from typing import Any, Callable, Mapping

from ansible.module_utils.basic import AnsibleModule

from ...errors import OcpvError

Operation = Callable[[Any], Mapping[str, Any]]


def run_host_module(spec: Mapping[str, Any], operation: Operation, **module_options: Any) -> None:
    """Run a module: parse its options, call C(operation(module)), return its result to Ansible.

    C(module_options) go to AnsibleModule. An OcpvError becomes a failure with C(msg), C(hint), C(details) and
    C(error), which is the name of the error's class.
    """
    module = AnsibleModule(argument_spec=dict(spec), supports_check_mode=True, **module_options)
    try:
        result = operation(module)
    except OcpvError as error:
        module.fail_json(msg=str(error), hint=error.hint, details=error.details, error=type(error).__name__)
    else:
        module.exit_json(**{"changed": False, **result})
