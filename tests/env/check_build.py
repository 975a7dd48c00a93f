"""Check the built collection: that it installs, that every module is documented, and that nothing strays into it.

python tests/env/check_build.py .cache/dist
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ALLOWED_AT_TOP = {
    "CHANGELOG.md",
    "FILES.json",
    "LICENSE",
    "MANIFEST.json",
    "README.md",
    "changelogs",
    "docs",
    "extensions",
    "meta",
    "playbooks",
    "plugins",
    "requirements.txt",
    "roles",
}


def main() -> int:
    (tarball,) = Path(sys.argv[1]).resolve().glob("ocpv-scale-*.tar.gz")
    with tarfile.open(tarball) as archive:
        names = archive.getnames()
    stray = sorted({name.split("/")[0] for name in names} - ALLOWED_AT_TOP)
    if stray:
        print(f"build: these do not belong into the collection (galaxy.yml, build_ignore): {', '.join(stray)}")
        return 1
    target = ROOT / ".cache" / "installed"
    shutil.rmtree(target, ignore_errors=True)
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": f"{target}:{ROOT / '.cache' / 'collections'}"}
    subprocess.run(
        ["ansible-galaxy", "collection", "install", "--offline", "--no-deps", "-p", target, tarball],
        env=environment,
        check=True,
        capture_output=True,
    )
    modules = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
    answer = subprocess.run(
        ["ansible-doc", "--json", "--type", "module", *(f"ocpv.scale.{name}" for name in modules)],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        cwd=target,
    )
    documented = json.loads(answer.stdout)
    for name in modules:
        document = documented[f"ocpv.scale.{name}"]
        if not (
            document.get("doc", {}).get("short_description") and document.get("examples") and document.get("return")
        ):
            print(f"build: ansible-doc does not show {name} completely")
            return 1
    print(f"build: {tarball.name} installs, ansible-doc shows {len(modules)} modules: {', '.join(modules)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
