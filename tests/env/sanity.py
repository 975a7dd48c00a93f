"""Run ansible-test sanity on a copy of the collection.

ansible-test wants to lie in a real folder ansible_collections/ocpv/scale with its dependencies beside it, and only
works with interpreters that start: the copy, a PATH without broken ones, and a home below .cache give it both. Its own
bootstrap of pip, which would download a script, is replaced by the interpreter's ensurepip.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
HOME = CACHE / "home"
COPY = CACHE / "root" / "ansible_collections" / "ocpv" / "scale"
GET_PIP = """\
import ensurepip, os, subprocess, sys
ensurepip.bootstrap()
bundle = "/etc/ssl/certs/ca-certificates.crt"
if os.path.exists(bundle):
    os.environ.setdefault("PIP_CERT", bundle)
wanted = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
subprocess.check_call([sys.executable, "-m", "pip", "install", "--quiet", *wanted])
"""


def copy_collection() -> None:
    """Copy what is shipped, as git knows it or would add it, so that work in progress is checked as well.

    The tests stay out: they are not shipped, and ruff and mypy hold them to the project's own rules.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    shutil.rmtree(COPY, ignore_errors=True)
    for name in listed.decode().split("\0"):
        source = ROOT / name
        if source.is_file() and (not name.startswith("tests/") or name == "tests/config.yml"):
            target = COPY / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    for folder in (CACHE / "collections" / "ansible_collections").iterdir():
        link = CACHE / "root" / "ansible_collections" / folder.name
        if not link.exists():
            link.symlink_to(folder)
    subprocess.run(["git", "init", "-q"], cwd=COPY, check=True)
    subprocess.run(["git", "add", "-A", "-f"], cwd=COPY, check=True)


def working_interpreters() -> Path:
    """Return a folder with links to the Python interpreters of this machine that really start."""
    folder = CACHE / "pybin"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    homes = [Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"]
    for minor in range(9, 15):
        name = f"python3.{minor}"
        candidates = [Path(place) / name for place in ("/usr/local/bin", "/usr/bin")]
        candidates += [path for home in homes for path in sorted(home.glob(f"3.{minor}.*/bin/{name}"))]
        for path in candidates:
            if path.exists() and subprocess.run([path, "-c", "import ensurepip"], capture_output=True).returncode == 0:
                (folder / name).symlink_to(path)
                break
    return folder


def main() -> int:
    copy_collection()
    bootstrap = HOME / ".ansible" / "test" / "cache"
    bootstrap.mkdir(parents=True, exist_ok=True)
    for name in ("get_pip_25_2.py", "get_pip_24_2.py", "get_pip_23_1_2.py"):
        (bootstrap / name).write_text(GET_PIP)
    environment = {
        key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "ANSIBLE_COLLECTIONS_PATH")
    }
    environment["PATH"] = os.pathsep.join(
        [str(CACHE / "venv" / "bin"), str(working_interpreters()), "/usr/local/sbin", "/usr/local/bin"]
        + ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
    )
    environment.update(HOME=str(HOME), ANSIBLE_HOME=str(HOME / ".ansible"), LC_ALL="C.UTF-8")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    command = ["ansible-test", "sanity", "--local", "--color", "no", *sys.argv[1:]]
    print(f"sanity: ansible-test with Python {version} on {COPY.relative_to(ROOT)}", flush=True)
    return subprocess.run(command, cwd=COPY, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
