# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every module does alike: connection options, the gateway to the cluster, and errors as module failures."""

from __future__ import annotations

import os
import time
from copy import deepcopy
from typing import Any, Callable, Mapping, Optional

from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
from ansible_collections.kubernetes.core.plugins.module_utils.k8s.core import AnsibleK8SModule

from .cluster import api_errors
from .cluster.caller import FIRST_CONTACT_SECONDS
from .cluster.gateway import Gateway
from .cluster.transport import Transport, reason_of
from .errors import ApiError, InvalidInput, OcpvError, Unreachable

GatewayFactory = Callable[[], Gateway]
Operation = Callable[[Any, GatewayFactory], Mapping[str, Any]]

MINIMUM_KUBERNETES = "28.1.0"
# these two releases send no bearer token at all
BROKEN_KUBERNETES = ("36.0.0", "36.0.1")
_PAUSE_SECONDS = 1.0
_PASSWORD_ADVICE = (
    "the Kubernetes API takes no user name and password. Get a token with community.okd.openshift_auth (or "
    "`oc whoami -t`) and pass it as api_key"
)


class Module(AnsibleK8SModule):  # type: ignore[misc]
    """kubernetes.core's module, which hides secrets of a kubeconfig, with all that AnsibleModule has besides."""

    def __getattr__(self, name: str) -> Any:
        if name == "_module":  # not made yet
            raise AttributeError(name)
        return getattr(self._module, name)


def auth_argument_spec() -> dict[str, Any]:
    """Return a copy of kubernetes.core's connection options (documented in doc_fragments/auth.py)."""
    return deepcopy(AUTH_ARG_SPEC)


def run_module(
    spec: Mapping[str, Any], operation: Operation, *, supports_check_mode: bool = True, **module_options: Any
) -> None:
    """Run a module: parse its options, call C(operation(module, gateway_factory)), return its result to Ansible.

    C(spec) are the module's own options, to which the connection options are added; C(module_options) go to
    AnsibleModule (required_if, mutually_exclusive, ...). The gateway is made, and the kubernetes library loaded, only
    when the factory is called. An OcpvError becomes a failure with C(msg), C(hint), C(details) and C(error), which is
    the name of the error's class.
    """
    module: Any = Module(
        argument_spec={**auth_argument_spec(), **spec},
        supports_check_mode=supports_check_mode,
        check_k8s=False,
        check_pyyaml=False,
        **module_options,
    )
    try:
        result = operation(module, lambda: connect(module))
    except OcpvError as error:
        module.fail_json(msg=str(error), hint=error.hint, details=error.details, error=type(error).__name__)
    else:
        module.exit_json(**{"changed": False, **result})


def store_file(module: Any, option: str, path: str, content: bytes) -> bool:
    """Write a file in one step unless it is the same already; return whether it differed. Only tells in check mode.

    Raises InvalidInput, naming C(option), when there is no directory to write to.
    """
    directory = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(directory) or os.path.isdir(path):
        raise InvalidInput(option, path, "the name of a file in an existing directory is needed")
    if os.path.isfile(path):
        with open(path, "rb") as existing:
            if existing.read() == content:
                return False
    if not module.check_mode:
        fresh = os.path.join(module.tmpdir, os.path.basename(path))
        with open(fresh, "wb") as file:
            file.write(content)
        module.atomic_move(fresh, path)
    return True


def connect(
    module: Any = None,
    *,
    retry_seconds: float = 60.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    **auth: Any,
) -> Gateway:
    """Return a Gateway by the connection options of a module, of C(auth) (same names), or of the environment.

    A server that does not answer is asked again for up to 10 s. Raises InvalidInput for options that cannot work and
    ApiError when the API server does not answer or refuses.
    """
    options = module.params if module is not None else auth
    _check_kubernetes()
    _check_password(options)
    _check_kubeconfig(options)
    # loads the kubernetes library (0.3 to 0.6 s), which work on files does not need
    from ansible_collections.kubernetes.core.plugins.module_utils.k8s.client import get_api_client
    from kubernetes.client import Configuration

    deadline = clock() + min(retry_seconds, FIRST_CONTACT_SECONDS)
    while True:
        # what an earlier connection of this process loaded from its kubeconfig would win over the options of this one
        Configuration.set_default(None)
        try:
            client = get_api_client(module, **auth)
            break
        except Exception as error:
            failure = _connection_error(error)
            if not _may_pass(failure) or clock() + _PAUSE_SECONDS > deadline:
                raise failure from error
        sleep(_PAUSE_SECONDS)
    _keep_explicit(client.configuration, options)
    return Gateway(Transport(client.client.client), retry_seconds=retry_seconds, clock=clock, sleep=sleep)


def _may_pass(failure: OcpvError) -> bool:
    """Tell whether a server that starts or is overloaded may be the cause."""
    if isinstance(failure, Unreachable):
        return failure.hint == api_errors.REACH_HINT
    return isinstance(failure, ApiError) and failure.status in api_errors.PASSING


def _given(options: Mapping[str, Any], name: str) -> Any:
    return options.get(name) or os.environ.get(f"K8S_AUTH_{name.upper()}")


def _keep_explicit(configuration: Any, options: Mapping[str, Any]) -> None:
    """Make an explicit host or token win over those of the kubeconfig.

    The library's hook that renews a kubeconfig's token sets all its values again whenever the token is asked for.
    """
    host, token = _given(options, "host"), _given(options, "api_key")
    if host:
        configuration.host = host.rstrip("/")
    if token:
        configuration.refresh_api_key_hook = None
        configuration.api_key = {"authorization": f"Bearer {token}"}


def _check_kubernetes() -> None:
    option = "the Python library kubernetes"
    needed = f"{MINIMUM_KUBERNETES} or later, but not {' or '.join(BROKEN_KUBERNETES)}, is needed by this Python"
    hint = "Install it, for example with `pip install -U kubernetes`."
    try:
        from kubernetes import __version__ as version
    except ImportError as error:
        raise InvalidInput(option, "missing", needed, hint=hint) from error
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    minimum = tuple(int(part) for part in MINIMUM_KUBERNETES.split(".")[:2])
    if numbers < minimum or version in BROKEN_KUBERNETES:
        raise InvalidInput(option, version, needed, hint=hint)


def _check_password(options: Mapping[str, Any]) -> None:
    """Refuse user name and password, which the client library accepts and never sends."""
    user = _given(options, "username")
    if (user or _given(options, "password")) and not _given(options, "api_key"):
        raise InvalidInput("username", user or "", _PASSWORD_ADVICE)


def _check_kubeconfig(options: Mapping[str, Any]) -> None:
    """Refuse the path of a kubeconfig that is not there, of which the client library does not tell the name."""
    paths = _given(options, "kubeconfig")
    if not isinstance(paths, str) or _given(options, "host"):
        return
    if not any(os.path.exists(os.path.expanduser(path)) for path in paths.split(os.pathsep)):
        raise InvalidInput("kubeconfig", paths, "the path of a file that exists is needed")


def _connection_error(error: Exception) -> OcpvError:
    """Return our error for whatever reading the configuration and the first requests may raise."""
    what, request = "reach the API server", "GET /version"
    status = getattr(error, "status", None)
    if isinstance(status, int) and status:
        body = getattr(error, "body", None) or b""
        content = body if isinstance(body, bytes) else body.encode()
        return api_errors.from_answer(what, request, status, getattr(error, "headers", None) or {}, content)
    cause: Optional[BaseException] = error
    while cause is not None:
        if type(cause).__module__.startswith("urllib3"):
            return api_errors.unreachable(what, request, reason_of(cause))
        cause = cause.__cause__ or cause.__context__
    mark = getattr(error, "problem_mark", None)  # of a YAML error, whose text may quote a line with a token
    problem = f"the kubeconfig is not YAML at line {mark.line + 1}" if mark else str(error)
    return ApiError(
        f"Could not read the connection to the cluster: {problem}",
        hint="Check kubeconfig, context, host and certificates (options or K8S_AUTH_* variables).",
    )
