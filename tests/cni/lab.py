"""Nodes, a switch and pods as network namespaces of this machine, and the real CNI plugins at work in them.

Nothing outside of the namespaces is touched; all of them go when the lab is closed.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

Obj = dict[str, Any]
PROBE_INTERFACE = "probe0"
POD_NAMESPACE = "openshift-cnv"
_FOLDERS = ("/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni")
_numbers = itertools.count(1)


class PluginError(Exception):
    """A plugin refused; the text is what it says."""


def plugin_folder() -> str:
    """The folder with the plugins: from CNI_PATH, the PATH, or the usual ones; empty without any."""
    named = os.environ.get("CNI_PATH", "").split(os.pathsep)
    found = shutil.which("macvlan", path=os.pathsep.join(filter(None, [*named, os.environ.get("PATH", ""), *_FOLDERS])))
    return os.path.dirname(found) if found else ""


def missing() -> str:
    """What keeps these tests from running here; empty if nothing does."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for program, package in (("ip", "iproute2"), ("ping", "iputils-ping")):
        if not shutil.which(program):
            return f"{program} is not installed (Debian: {package})"
    if not plugin_folder():
        return "the CNI plugins are not installed (Debian: containernetworking-plugins)"
    try:
        with Lab():
            return ""
    except subprocess.CalledProcessError as error:
        return f"no network namespaces here: {error.stderr.strip()}"


def run(*command: str, text: str = "", **variables: str) -> str:
    """Standard output of a command; raises CalledProcessError."""
    result = subprocess.run(
        command, input=text, capture_output=True, text=True, check=True, env={**os.environ, **variables}
    )
    return result.stdout


class Lab:
    """Two nodes at one switch, each with a network card of the name that is asked for.

    ``mtu`` is that of cards and switch, ``second_port`` the MTU of the switch's port to the second node. ``etc`` is the
    folder that plugins on the nodes see as /etc, ``more_plugins`` one with others than the usual.
    """

    def __init__(
        self,
        card: str = "eth1",
        *,
        mtu: int = 9000,
        second_port: int | None = None,
        etc: Path | None = None,
        more_plugins: Path | None = None,
    ) -> None:
        self._card = card
        self._mtu = mtu
        self._second_port = second_port or mtu
        self._etc = etc
        self._plugins = os.pathsep.join(filter(None, [str(more_plugins or ""), plugin_folder()]))
        self._prefix = f"ocpv{os.getpid()}-{next(_numbers)}"
        self._stack = contextlib.ExitStack()
        self.folder = Path()
        self._attached: list[tuple[str, str, Obj]] = []

    def __enter__(self) -> Self:
        try:
            self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="cni-")))
            switch = self._namespace("switch")
            run("ip", "-n", switch, "link", "add", "sw", "type", "bridge")
            run("ip", "-n", switch, "link", "set", "sw", "up")
            for number, node in enumerate(("one", "two")):
                space = self._namespace(node)
                port = f"port{number}"
                ends = (self._card, "netns", space, "type", "veth", "peer", "name", port, "netns", switch)
                run("ip", "link", "add", *ends)
                run("ip", "-n", space, "link", "set", self._card, "mtu", str(self._mtu), "up")
                size = self._second_port if number else self._mtu
                run("ip", "-n", switch, "link", "set", port, "mtu", str(size), "master", "sw", "up")
                self._namespace(f"pod-{node}")
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for node, pod, config in reversed(self._attached):
            with contextlib.suppress(PluginError):
                self._plugin("DEL", node, pod, config)
        self._stack.close()

    def _namespace(self, name: str) -> str:
        space = f"{self._prefix}-{name}"
        run("ip", "netns", "add", space)
        self._stack.callback(subprocess.run, ["ip", "netns", "del", space], check=False)
        run("ip", "-n", space, "link", "set", "lo", "up")
        return space

    def ip(self, where: str, *arguments: str) -> str:
        """``ip`` in a node ("one", "two"), the switch or a pod ("pod-one", "pod-two")."""
        return run("ip", "-n", f"{self._prefix}-{where}", *arguments)

    def bridged(self, node: str, name: str) -> None:
        """Puts a node's card into a new Linux bridge."""
        self.ip(node, "link", "add", name, "mtu", str(self._mtu), "type", "bridge")
        self.ip(node, "link", "set", self._card, "master", name)
        self.ip(node, "link", "set", name, "up")

    def namespace(self, where: str) -> str:
        """Path of a network namespace."""
        return f"/var/run/netns/{self._prefix}-{where}"

    def keep(self, what: AbstractContextManager[Any]) -> None:
        """Enters something that is needed until the last interface is removed."""
        self._stack.enter_context(what)

    def new_pod(self, name: str) -> str:
        """Another pod than each node's own; returns what it is called from now on."""
        pod = f"pod-{name}"
        self._namespace(pod)
        return pod

    def add(self, node: str, config: Obj, pod: str = "") -> str:
        """Gives a pod (the node's own, unless named) an interface as a configuration says; returns its address. Raises
        PluginError."""
        pod = pod or f"pod-{node}"
        result = self._plugin("ADD", node, pod, config)
        self._attached.append((node, pod, config))
        return str(result["ips"][0]["address"]).partition("/")[0]

    def remove(self, node: str, config: Obj, pod: str = "") -> None:
        """Takes the interface away again. Raises PluginError."""
        pod = pod or f"pod-{node}"
        self._plugin("DEL", node, pod, config)
        self._attached.remove((node, pod, config))

    def _plugin(self, command: str, node: str, pod: str, config: Obj) -> Obj:
        variables = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": pod,
            "CNI_NETNS": self.namespace(pod),
            "CNI_IFNAME": PROBE_INTERFACE,
            "CNI_PATH": self._plugins,
            # as the container runtime says it
            "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAMESPACE={POD_NAMESPACE};K8S_POD_NAME={pod};"
            f"K8S_POD_INFRA_CONTAINER_ID={pod}",
        }
        inside = ["ip", "netns", "exec", f"{self._prefix}-{node}"]
        if self._etc:
            # the mounts of "ip netns exec" are seen by nobody else
            inside += ["sh", "-c", 'mount --bind "$0" /etc && exec "$@"', str(self._etc)]
        program = shutil.which(config["type"], path=self._plugins) or config["type"]
        try:
            output = run(*inside, program, text=json.dumps(config), **variables)
        except subprocess.CalledProcessError as error:
            # plugins write their errors to standard output
            raise PluginError(f"{error.stdout} {error.stderr}".strip()) from error
        found: Obj = json.loads(output) if output else {}
        return found

    def mtu(self, where: str, interface: str = PROBE_INTERFACE) -> int:
        """The MTU that an interface really has."""
        (found,) = json.loads(self.ip(where, "-j", "link", "show", interface))
        return int(found["mtu"])

    def kind(self, where: str, interface: str = PROBE_INTERFACE) -> str:
        """What the kernel says the interface is."""
        (found,) = json.loads(self.ip(where, "-j", "-d", "link", "show", interface))
        return str(found["linkinfo"]["info_kind"])

    def probe(self, pod: str, script: str, peers: Sequence[str], payload_bytes: int) -> str:
        """The termination message that the product's script leaves in a pod."""
        result = self.folder / f"{pod}.txt"
        variables = {
            **os.environ,
            "PEERS": ",".join(peers),
            "PAYLOAD_BYTES": str(payload_bytes),
            "COUNT": "2",
            "RESULT": str(result),
        }
        inside = ["ip", "netns", "exec", f"{self._prefix}-{pod}", "/bin/sh", "-c", script]
        subprocess.run(inside, env=variables, capture_output=True, text=True, check=False, timeout=120)
        return result.read_text(encoding="utf-8")


def kernel_knows(kind: str) -> bool:
    """Whether this machine's kernel can make such an interface."""
    with Lab() as lab:
        try:
            lab.ip("one", "link", "add", "link", "eth1", "name", "try0", "type", *kind.split())
        except subprocess.CalledProcessError:
            return False
        return True


def addresses_of_one_node(config: Obj, folder: Path) -> Iterator[Obj]:
    """The configuration for each node: host-local hands out the addresses, as whereabouts needs a cluster. Both nodes
    share one folder, so that no address is given out twice."""
    ipam = config["ipam"]
    given: Obj = {"subnet": ipam["range"]}
    for ours, theirs in (("range_start", "rangeStart"), ("range_end", "rangeEnd")):
        if ipam.get(ours):
            given[theirs] = ipam[ours]
    local = {"type": "host-local", "dataDir": str(folder / "leases"), "ranges": [[given]]}
    while True:
        yield {**config, "ipam": local}
