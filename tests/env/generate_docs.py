"""Write docs/reference from the code: one page a module and a role, made from what ansible-doc says of them.

python tests/env/generate_docs.py            # write
python tests/env/generate_docs.py --check    # fail if a page is not what the code says
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "docs" / "reference"
COLLECTION = "ocpv.scale"
MARKUP = re.compile(r"\b(O|V|RV|C|I|B|M|E|P|L|U)\(((?:[^()\\]|\\.|\([^()]*\))*)\)")


def plain(text: Any) -> str:
    """Turn Ansible's markup into Markdown."""
    if isinstance(text, (list, tuple)):
        return " ".join(plain(part) for part in text)

    def render(match: re.Match[str]) -> str:
        kind, content = match.group(1), match.group(2).replace("\\", "")
        if kind == "B":
            return f"**{content}**"
        if kind == "I":
            return f"*{content}*"
        if kind == "L":
            label, _, address = content.partition(",")
            return f"[{label}]({address.strip()})"
        if kind in ("O", "RV"):
            content = content.split("#", 1)[-1].split(":", 1)[-1]
        return f"`{content}`"

    return MARKUP.sub(render, str(text or ""))


def options(spec: dict[str, Any], level: int = 0) -> list[str]:
    lines = []
    for name, option in sorted(spec.items()):
        kind = option.get("type", "str")
        if kind == "list":
            kind = f"list of {option.get('elements', 'str')}"
        facts = [kind]
        if option.get("required"):
            facts.append("required")
        if option.get("default") is not None:
            facts.append(f"default `{json.dumps(option['default'])}`")
        if option.get("choices"):
            facts.append("one of " + ", ".join(f"`{choice}`" for choice in option["choices"]))
        if option.get("aliases"):
            facts.append("aliases " + ", ".join(f"`{alias}`" for alias in option["aliases"]))
        lines.append(f"{'  ' * level}- **`{name}`** ({'; '.join(facts)}): {plain(option.get('description'))}")
        nested = option.get("suboptions") or option.get("options")
        if nested:
            lines += options(nested, level + 1)
    return lines


def returned(spec: dict[str, Any], level: int = 0) -> list[str]:
    lines = []
    for name, value in sorted(spec.items()):
        told = f"{value.get('type', 'str')}, {plain(value.get('returned', 'always'))}"
        lines.append(f"{'  ' * level}- **`{name}`** ({told}): {plain(value.get('description'))}")
        if value.get("contains"):
            lines += returned(value["contains"], level + 1)
    return lines


def ask(kind: str, names: list[str]) -> dict[str, Any]:
    answer = subprocess.run(
        ["ansible-doc", "--json", "--type", kind, *(f"{COLLECTION}.{name}" for name in names)],
        capture_output=True,
        text=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(answer.stdout)
    return result


def module_page(name: str, entry: dict[str, Any]) -> str:
    document = entry["doc"]
    parts = [f"# {COLLECTION}.{name}", "", f"{plain(document['short_description'])}.", ""]
    parts += [f"{plain(line)}\n" for line in document["description"]]
    if document.get("requirements"):
        parts += ["Needs: " + "; ".join(plain(item) for item in document["requirements"]), ""]
    parts += ["## Options", "", *options(document.get("options") or {}), ""]
    parts += ["## Attributes", ""]
    for attribute, value in sorted((document.get("attributes") or {}).items()):
        support = value.get("support") or ", ".join(value.get("membership") or ())
        parts.append(f"- `{attribute}`: {support}. {plain(value.get('details'))}".rstrip())
    parts += ["", "## Examples", "", "```yaml", (entry.get("examples") or "").strip(), "```", ""]
    parts += ["## Return values", "", *returned(entry.get("return") or {}), ""]
    return "\n".join(parts)


def role_page(name: str, entry: dict[str, Any]) -> str:
    parts = [f"# Role {COLLECTION}.{name}", ""]
    for entry_point, document in sorted(entry["entry_points"].items()):
        parts += [f"## Entry point `{entry_point}`", "", plain(document.get("short_description")) + ".", ""]
        parts += [plain(document.get("description")), "", *options(document.get("options") or {}), ""]
    return "\n".join(parts)


def pages() -> dict[str, str]:
    modules = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
    roles = sorted(path.parent.parent.name for path in (ROOT / "roles").glob("*/meta/argument_specs.yml"))
    result = {}
    found = ask("module", modules)
    for name in modules:
        result[f"{name}.md"] = module_page(name, found[f"{COLLECTION}.{name}"])
    found = ask("role", roles)
    for name in roles:
        result[f"role_{name}.md"] = role_page(name, found[f"{COLLECTION}.{name}"])
    lines = ["# Reference", "", "Made from the code by `make docs`.", "", "## Modules", ""]
    lines += [f"- [{name}]({name}.md)" for name in modules]
    lines += ["", "## Roles", "", *(f"- [{name}](role_{name}.md)" for name in roles), ""]
    result["README.md"] = "\n".join(lines)
    return {name: re.sub(r"[ \t]+\n", "\n", text).rstrip() + "\n" for name, text in result.items()}


def main() -> int:
    wanted = pages()
    present = {path.name: path.read_text() for path in TARGET.glob("*.md")}
    stale = sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))
    if "--check" in sys.argv[1:]:
        if stale:
            print(f"docs/reference does not say what the code says: {', '.join(stale)}; run `make docs` and commit")
        return 1 if stale else 0
    TARGET.mkdir(parents=True, exist_ok=True)
    for name in stale:
        if name in wanted:
            (TARGET / name).write_text(wanted[name])
        else:
            (TARGET / name).unlink()
    print(f"docs/reference: {len(wanted)} pages, {len(stale)} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
