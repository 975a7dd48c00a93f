"""Set up everything that developing and testing this collection needs, below the checkout's .cache folder.

Runs under any Python 3.8 or later with nothing installed: it looks for an interpreter that the pinned ansible-core
takes, makes a virtual environment from the lock file, unpacks the collections that this one builds on, and links the
checkout to where Ansible looks for it. A second run finds everything in place and ends at once.

    python3 tests/env/setup.py            # virtual environment, collections, link
    python3 tests/env/setup.py --system   # Debian packages that tests need, too (root or sudo)
    python3 tests/env/setup.py --oldest   # environments of the oldest supported versions, too
"""

from __future__ import annotations

import argparse
import glob
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from typing import Any, Callable, NoReturn

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CACHE = os.path.join(ROOT, ".cache")
VENV = os.path.join(CACHE, "venv")
NEEDED = (3, 12)
# folder, the first Python that fits, the first that does not, what for
OLDEST = (
    (os.path.join(CACHE, "oldest"), (3, 10), (3, 13), "the oldest ansible-core"),
    (os.path.join(CACHE, "oldest-modules"), (3, 9), (3, 10), "modules on the oldest Python"),
)
COLLECTIONS = ("kubernetes.core", "ansible.posix")
SYSTEM_PACKAGES = {
    "/usr/bin/chromium": "chromium",
    "/usr/bin/chromedriver": "chromium-driver",
    "/usr/bin/openssl": "openssl",
    "/usr/bin/ceph": "ceph-common",
    "/usr/bin/ceph-mon": "ceph-mon",
    "/usr/bin/ceph-mgr": "ceph-mgr",
    "/usr/bin/ceph-osd": "ceph-osd",
    "/usr/lib/cni/macvlan": "containernetworking-plugins",
    "/usr/sbin/ip": "iproute2",
    "/usr/bin/linux.uml": "user-mode-linux",
    "/usr/sbin/modprobe": "kmod",
    "/usr/sbin/ethtool": "ethtool",
    "/usr/bin/ping": "iputils-ping",
}

# used from .cache: installing it would upgrade the system's own packages
UNPACKED_PACKAGES = ("network-manager", "libnm0", "libndp0", "libteamdctl0", "libmm-glib0", "libbluetooth3", "libpsl5")


def say(text: str) -> None:
    print(f"setup: {text}", flush=True)


def stop(text: str) -> NoReturn:
    sys.exit(f"setup: {text}")


def run(command: list[str], **options: Any) -> None:
    result = subprocess.run(command, **options)
    if result.returncode:
        stop(f"failed ({result.returncode}): {' '.join(command)}")


def works(python: str) -> tuple[int, ...] | None:
    """Return the version of an interpreter that can make virtual environments, None for any other file."""
    probe = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"
    try:
        answer = subprocess.run([python, "-c", probe], capture_output=True, text=True, timeout=30)
        return tuple(int(part) for part in answer.stdout.split(".")) if answer.returncode == 0 else None
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def interpreters() -> list[tuple[tuple[int, ...], str]]:
    """Return version and path of the installed interpreters that can make virtual environments."""
    names = [f"python3.{minor}" for minor in range(14, 8, -1)] + ["python3", sys.executable]
    candidates = [path for path in (shutil.which(name) for name in names) if path]
    for home in (os.environ.get("PYENV_ROOT"), os.path.expanduser("~/.pyenv")):
        candidates += glob.glob(os.path.join(home, "versions/3.*/bin/python3")) if home else []
    for name in ("python3.9", "python3.1[0-9]"):
        candidates += glob.glob(f"/opt/*/bin/{name}") + glob.glob(f"/usr/local/bin/{name}")
    answers = [(works(path), path) for path in dict.fromkeys(candidates)]
    return [(version, path) for version, path in answers if version]


def find_python() -> str:
    """Return the newest installed interpreter that the pinned ansible-core takes; PYTHON in the environment wins."""
    given = os.environ.get("PYTHON")
    version = works(given) if given else None
    found = interpreters() if not given else [(version, given)] if version else []
    fitting = [item for item in found if NEEDED <= item[0] < (3, 15)]
    if not fitting:
        seen = ", ".join(f"{path} ({version[0]}.{version[1]})" for version, path in found) or "none at all"
        stop(
            "Python 3.12, 3.13 or 3.14 with the venv module is needed (ansible-core requires it); "
            f"found: {seen}. "
            "Install one (on Debian: a newer release's python3 and python3-venv, or pyenv) "
            "or name it: PYTHON=/path/to/python3.13 make setup"
        )
    return max(fitting)[1]


def digest(*paths: str) -> str:
    value = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            value.update(file.read())
    return value.hexdigest()


def done(stamp: str, value: str) -> bool:
    try:
        with open(stamp) as file:
            return file.read() == value
    except OSError:
        return False


def mark(stamp: str, value: str) -> None:
    with open(stamp, "w") as file:
        file.write(value)


def make_environment(folder: str, lock: str, find: Callable[[], str | None]) -> bool:
    """Fill a virtual environment from a lock of requirements; False if no interpreter is found for it."""
    lock = os.path.join(ROOT, "requirements", lock)
    stamp, value = os.path.join(folder, ".complete"), digest(lock)
    pip = [os.path.join(folder, "bin", "python"), "-m", "pip", "--disable-pip-version-check"]
    there = works(pip[0])
    if there and done(stamp, value):
        return True
    if not there:
        python = find()
        if not python:
            return False
        say(f"making a virtual environment with {python}")
        run([python, "-m", "venv", "--clear", folder])
    say(f"installing the Python packages of {os.path.relpath(lock, ROOT)} (about a minute)")
    run(pip + ["install", "--quiet", "--require-hashes", "--no-deps", "-r", lock])
    mark(stamp, value)
    return True


def make_oldest() -> None:
    """Make the environments of the oldest supported versions; in CI each has to be there."""
    for folder, first, end, what in OLDEST:

        def find(first: tuple[int, ...] = first, end: tuple[int, ...] = end) -> str | None:
            return min([item for item in interpreters() if first <= item[0] < end], default=((), None))[1]

        if make_environment(folder, "oldest.txt", find):
            continue
        shutil.rmtree(folder, ignore_errors=True)
        wanted = " or ".join(f"3.{minor}" for minor in range(first[1], end[1]))
        text = f"left out: {what}; no Python {wanted} with the venv module was found"
        if os.environ.get("CI"):
            stop(text)
        say(text)


def unpack_collections() -> None:
    lock = os.path.join(ROOT, "requirements", "collections.txt")
    target = os.path.join(CACHE, "collections")
    stamp, value = os.path.join(target, ".complete"), digest(lock, os.path.abspath(__file__))
    if done(stamp, value):
        return
    say(f"fetching the collections {', '.join(COLLECTIONS)}")
    download = os.path.join(CACHE, "download")
    shutil.rmtree(download, ignore_errors=True)
    python = os.path.join(VENV, "bin", "python")
    run(
        [python, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps", "--require-hashes"]
        + ["--dest", download, "-r", lock]
    )
    shutil.rmtree(target, ignore_errors=True)
    roots = tuple(f"ansible_collections/{name.replace('.', '/')}/" for name in COLLECTIONS)
    with zipfile.ZipFile(glob.glob(os.path.join(download, "ansible-*.whl"))[0]) as wheel:
        wheel.extractall(target, [name for name in wheel.namelist() if name.startswith(roots)])
    shutil.rmtree(download)
    mark(stamp, value)


def link_checkout() -> None:
    """Let Ansible find the checkout as ocpv.scale, whatever the folder is called."""
    folder = os.path.join(CACHE, "link", "ansible_collections", "ocpv")
    link = os.path.join(folder, "scale")
    os.makedirs(folder, exist_ok=True)
    if not os.path.islink(link) or os.readlink(link) != ROOT:
        if os.path.lexists(link):
            os.remove(link)
        os.symlink(ROOT, link)


def install_system_packages() -> None:
    missing = [package for path, package in SYSTEM_PACKAGES.items() if not os.path.exists(path)]
    if not missing:
        return
    if not shutil.which("apt-get"):
        say(f"not a Debian system: install {' '.join(missing)} by hand, or the tests that need them will say so")
        return
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if prefix and (not shutil.which("sudo") or subprocess.run(prefix + ["true"], capture_output=True).returncode):
        say(f"neither root nor sudo: install {' '.join(missing)} by hand, or the tests that need them will say so")
        return
    say(f"installing Debian packages: {' '.join(missing)}")
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    quiet = {"stdout": subprocess.DEVNULL, "env": environment}
    run(prefix + ["apt-get", "-qq", "update"], **quiet)
    run(prefix + ["apt-get", "-qq", "install", "-y", "--no-install-recommends"] + missing, **quiet)


def unpack_packages() -> None:
    """Unpack Debian packages below .cache/debian, where tests that need them look."""
    target = os.path.join(CACHE, "debian")
    stamp, value = os.path.join(target, ".complete"), " ".join(UNPACKED_PACKAGES)
    if done(stamp, value):
        return
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        say("not a Debian system: tests that need NetworkManager will say so")
        return
    say("unpacking Debian packages: network-manager")
    shutil.rmtree(target, ignore_errors=True)
    os.makedirs(target)
    result = subprocess.run(["apt-get", "-qq", "download", *UNPACKED_PACKAGES], cwd=target, capture_output=True)
    if result.returncode:
        say("NetworkManager could not be fetched; tests that need it will say so")
        return
    for package in glob.glob(os.path.join(target, "*.deb")):
        run(["dpkg", "-x", package, target])
        os.remove(package)
    mark(stamp, value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--system", action="store_true", help="install Debian packages that tests need, too")
    parser.add_argument("--oldest", action="store_true", help="make environments of the oldest supported versions, too")
    options = parser.parse_args()
    os.makedirs(CACHE, exist_ok=True)
    make_environment(VENV, "dev.txt", find_python)
    unpack_collections()
    link_checkout()
    if options.oldest:
        make_oldest()
    if options.system:
        install_system_packages()
        unpack_packages()


if __name__ == "__main__":
    main()
