"""Where kube-apiserver and etcd come from: programs that are there, or one that is built once from Go modules.

Looked for in this order: ``KUBEBUILDER_ASSETS`` (envtest's convention), the PATH, a build of ``apiserver/`` that lies
in the user's cache. The build holds both programs and knows which it is by the name that it is called by.

The network plugin ``whereabouts/`` is built in the same way, together with the definitions that it needs in a cluster.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

APISERVER, ETCD, WHEREABOUTS = "kube-apiserver", "etcd", "whereabouts"
_WHEREABOUTS_MODULE = "github.com/k8snetworkplumbingwg/whereabouts"


class NotToBeHad(Exception):
    """There are no programs and there is no Go to build them; the text says what to do."""


@dataclass(frozen=True)
class Binaries:
    """Paths of the two programs, and where they were found."""

    apiserver: Path
    etcd: Path
    origin: str

    def version(self) -> str:
        """What kube-apiserver says it is."""
        said = subprocess.run([self.apiserver, "--version"], capture_output=True, text=True, check=True)
        return said.stdout.strip()


@dataclass(frozen=True)
class Build:
    """A program that is built from Go modules; ``name`` is that of the folder beside this file."""

    name: str
    program: str
    package: str
    sources: tuple[str, ...]
    takes: str

    @property
    def source(self) -> Path:
        """The folder with go.mod."""
        return Path(__file__).with_name(self.name)

    @property
    def folder(self) -> Path:
        """Where the build of just these sources lies, outside the checkout."""
        digest = hashlib.sha256()
        for name in self.sources:
            digest.update((self.source / name).read_bytes())
        home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        return Path(home) / "ocpv-scale" / f"{self.name}-{digest.hexdigest()[:16]}"

    def required(self, word: str) -> str:
        """What follows a word at the beginning of a line of go.mod, "require" put aside."""
        lines = (line.split() for line in (self.source / "go.mod").read_text(encoding="utf-8").splitlines())
        found = ([part for part in line if part != "require"] for line in lines)
        return next(line[1] for line in found if line[:1] == [word])

    def make(self, finish: Callable[[Path], None], flags: str = "-s -w") -> None:
        """Build into a folder beside the wanted one first, so that what is there is always whole; ``finish`` adds what
        else belongs into it."""
        text = f"conformance: building {self.program} from Go modules into {self.folder} (once; {self.takes})"
        print(text, file=sys.stderr, flush=True)
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="building-", dir=self.folder.parent) as name:
            place = Path(name) / "programs"
            place.mkdir()
            target = str(place / self.program)
            self.go("build", "-trimpath", "-ldflags", flags, "-o", target, self.package)
            finish(place)
            shutil.rmtree(self.folder, ignore_errors=True)
            place.replace(self.folder)

    def go(self, *arguments: str) -> str:
        """What go says in the folder of the sources. Raises NotToBeHad."""
        command = [go(), *arguments]
        environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}
        made = subprocess.run(command, cwd=self.source, env=environment, stdout=subprocess.PIPE, text=True)
        if made.returncode:
            raise NotToBeHad(f"{' '.join(command)} in {self.source} failed with status {made.returncode}")
        return made.stdout.strip()


_SERVERS = Build("apiserver", APISERVER, ".", ("go.mod", "go.sum", "main.go"), "about ten minutes on two processors")
_PLUGIN = Build(
    "whereabouts",
    WHEREABOUTS,
    f"{_WHEREABOUTS_MODULE}/cmd",
    ("go.mod", "go.sum"),
    "two to four minutes on two processors",
)


def find() -> Binaries | None:
    """The programs if they are there or were built before, else None."""
    folder = os.environ.get("KUBEBUILDER_ASSETS", "")
    if folder:
        found = _both(Path(folder))
        if found is None:
            raise NotToBeHad(f"KUBEBUILDER_ASSETS: {folder} does not hold {APISERVER} and {ETCD}")
        return Binaries(*found, "KUBEBUILDER_ASSETS")
    on_path = [shutil.which(name) for name in (APISERVER, ETCD)]
    if on_path[0] and on_path[1]:
        return Binaries(Path(on_path[0]), Path(on_path[1]), "the PATH")
    built = _both(_SERVERS.folder)
    return Binaries(*built, "the cache") if built else None


def ensure() -> Binaries:
    """The programs, built if need be, which takes minutes. Raises NotToBeHad."""
    found = find()
    if found:
        return found
    if not go():
        raise NotToBeHad(
            f"neither {APISERVER} and {ETCD} (KUBEBUILDER_ASSETS or the PATH) nor go to build them: install Go "
            f"{_SERVERS.required('go')} or later, or fetch the programs with envtest's setup-envtest"
        )
    _SERVERS.make(lambda place: (place / ETCD).symlink_to(APISERVER), _link_flags())
    built = _both(_SERVERS.folder)
    assert built is not None
    return Binaries(*built, "a new build")


def ensure_whereabouts() -> Path:
    """Folder with the plugin and, in ``crds``, what it needs in a cluster, built if need be. Raises NotToBeHad."""
    folder = _PLUGIN.folder
    if not os.access(folder / WHEREABOUTS, os.X_OK):
        if not go():
            raise NotToBeHad(f"no go to build {WHEREABOUTS}: install Go {_PLUGIN.required('go')} or later")
        _PLUGIN.make(_add_definitions)
    return folder


def _add_definitions(place: Path) -> None:
    """As the plugin's module has them. They are read-only there, which the copies are not."""
    module = Path(_PLUGIN.go("list", "-m", "-f", "{{.Dir}}", _WHEREABOUTS_MODULE))
    shutil.copytree(module / "doc" / "crds", place / "crds", copy_function=shutil.copyfile)
    (place / "crds").chmod(0o755)


def go() -> str:
    """Path of the go command, empty if there is none."""
    return shutil.which("go") or next(filter(os.path.exists, ("/usr/local/go/bin/go", "/usr/lib/go/bin/go")), "")


def _link_flags() -> str:
    """A release is told its version when it is linked; so is this."""
    version = _SERVERS.required("k8s.io/kubernetes")
    major, minor, _patch = version.removeprefix("v").split(".")
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    told = (f"-X {package}.{name}={value}" for package in packages for name, value in values.items())
    return " ".join(["-s -w", *told])


def _both(folder: Path) -> tuple[Path, Path] | None:
    paths = folder / APISERVER, folder / ETCD
    return paths if all(os.access(path, os.X_OK) for path in paths) else None
