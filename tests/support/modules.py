"""Run a module in this process, as Ansible would, and get its result."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from ansible.module_utils import basic


@contextlib.contextmanager
def module_arguments(arguments: dict[str, Any]) -> Iterator[None]:
    """Hand arguments to the AnsibleModule made inside; on every ansible-core from 2.16 on."""
    content = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode()
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(basic, "_ANSIBLE_ARGS", content))
        if hasattr(basic, "_ANSIBLE_PROFILE"):
            stack.enter_context(mock.patch.object(basic, "_ANSIBLE_PROFILE", "legacy"))
        yield


def run_module_main(
    main: Callable[[], None], arguments: dict[str, Any], *, check_mode: bool = False, diff: bool = False
) -> dict[str, Any]:
    """Return what a module prints as its result; C(failed) is set if it failed. Fails itself if it prints no JSON."""
    internal = {"_ansible_check_mode": check_mode, "_ansible_diff": diff, "_ansible_remote_tmp": None}
    given = {key: value for key, value in {**arguments, **internal}.items() if value is not None}
    output = io.StringIO()
    with contextlib.ExitStack() as stack:
        stack.enter_context(module_arguments(given))
        stack.enter_context(contextlib.redirect_stdout(output))
        stack.enter_context(mock.patch.object(sys, "argv", ["module"]))
        stack.enter_context(contextlib.suppress(SystemExit))
        main()
    result: dict[str, Any] = json.loads(output.getvalue())
    return result
