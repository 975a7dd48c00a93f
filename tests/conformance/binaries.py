"""Where kube-apiserver and etcd come from: programs that are there, or one that is built once from Go modules.

Looked for in this order: ``KUBEBUILDER_ASSETS`` (envtest's convention), the PATH, a build of ``apiserver/`` that lies
in the user's cache. The build holds both programs and knows which it is by the name that it is called by.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("apiserver")
APISERVER, ETCD = "kube-apiserver", "etcd"


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
    built = _both(build_folder())
    return Binaries(*built, "the cache") if built else None


def ensure() -> Binaries:
    """The programs, built if need be, which takes minutes. Raises NotToBeHad."""
    found = find()
    if found:
        return found
    if not go():
        raise NotToBeHad(
            f"neither {APISERVER} and {ETCD} (KUBEBUILDER_ASSETS or the PATH) nor go to build them: install Go "
            f"{_go_version()} or later, or fetch the programs with envtest's setup-envtest"
        )
    _build(build_folder())
    built = _both(build_folder())
    assert built is not None
    return Binaries(*built, "a new build")


def go() -> str:
    """Path of the go command, empty if there is none."""
    return shutil.which("go") or next(filter(os.path.exists, ("/usr/local/go/bin/go", "/usr/lib/go/bin/go")), "")


def build_folder() -> Path:
    """Where the build of just these sources lies, outside the checkout."""
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum", "main.go"):
        digest.update((SOURCE / name).read_bytes())
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(home) / "ocpv-scale" / f"apiserver-{digest.hexdigest()[:16]}"


def _go_version() -> str:
    return _in_go_mod("go")


def _in_go_mod(word: str) -> str:
    """What follows a word at the beginning of a line of go.mod, "require" put aside."""
    lines = (line.split() for line in (SOURCE / "go.mod").read_text(encoding="utf-8").splitlines())
    found = ([part for part in line if part != "require"] for line in lines)
    return next(line[1] for line in found if line[:1] == [word])


def _link_flags() -> str:
    """A release is told its version when it is linked; so is this."""
    version = _in_go_mod("k8s.io/kubernetes")
    major, minor, _patch = version.removeprefix("v").split(".")
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    told = (f"-X {package}.{name}={value}" for package in packages for name, value in values.items())
    return " ".join(["-s -w", *told])


def _both(folder: Path) -> tuple[Path, Path] | None:
    paths = folder / APISERVER, folder / ETCD
    return paths if all(os.access(path, os.X_OK) for path in paths) else None


def _build(folder: Path) -> None:
    """Build into a folder beside the wanted one first, so that what is there is always whole."""
    print(
        f"conformance: building {APISERVER} and etcd from Go modules into {folder} (once; about ten minutes on two "
        "processors)",
        file=sys.stderr,
        flush=True,
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="building-", dir=folder.parent) as name:
        place = Path(name) / "programs"
        place.mkdir()
        command = [go(), "build", "-trimpath", "-ldflags", _link_flags(), "-o", str(place / APISERVER), "."]
        made = subprocess.run(command, cwd=SOURCE, env={**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"})
        if made.returncode:
            raise NotToBeHad(f"{' '.join(command)} in {SOURCE} failed with status {made.returncode}")
        (place / ETCD).symlink_to(APISERVER)
        shutil.rmtree(folder, ignore_errors=True)
        place.replace(folder)
