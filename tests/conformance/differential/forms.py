"""How answers look: tables, metadata alone, discovery."""

from __future__ import annotations

from .api import Api, Obj
from .case import Case, Step, case, get, post, told
from .objects import PATHS, config_map, machine, network, node, pod, policy, workload

_FORMS = {
    "table": "application/json;as=Table;v=v1;g=meta.k8s.io",
    "table of kubectl": ",".join(
        f"application/json{form}" for form in (";as=Table;v=v1;g=meta.k8s.io", ";as=Table;v=v1beta1;g=meta.k8s.io", "")
    ),
    "metadata": "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
    "metadata list": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    "unknown form": "application/json;as=Wrong;v=v1;g=meta.k8s.io",
    "yaml": "application/yaml",
    "xml": "application/xml",
    "anything": "*/*",
    "xml or json": "application/xml,application/json;q=0.5",
}
_GROUPS = sorted({path.split("/")[2] for path in PATHS.values() if path.startswith("/apis/")})
_VERSIONS = sorted({"/".join(path.split("/")[1:4]) for path in PATHS.values() if path.startswith("/apis/")})


def _fill(api: Api) -> None:
    for path, body in (
        ("configmaps", config_map(x="1")),
        ("nads", network()),
        ("pods", pod()),
        ("deployments", workload("Deployment")),
        ("vms", machine()),
        ("nodes", node()),
        ("migrationpolicies", policy()),
    ):
        api.unrecorded("POST", path, body)


def _discovered(path: str, *plurals: str) -> Step:
    """A case's step: what discovery says of those resources, in the order of their names."""

    def step(api: Api) -> None:
        answer = api.unrecorded("GET", path)
        found: list[Obj] = answer.json()["resources"]
        chosen = [each for each in found if each["name"].partition("/")[0] in plurals]
        for each in chosen:
            each.pop("storageVersionHash", None)
        content = {"status": answer.status, "resources": {each["name"]: each for each in chosen}}
        api.answers.append({"request": f"GET {path}", **content})

    return step


def _groups(api: Api) -> None:
    answer = api.unrecorded("GET", "/apis")
    found = [each for each in answer.json()["groups"] if each["name"] in _GROUPS]
    api.answers.append({"request": "GET /apis", "groups": {each["name"]: each for each in found}})


def _in_version(version: str) -> list[str]:
    return sorted({path.rsplit("/", 1)[1] for path in PATHS.values() if path.startswith(f"/{version}/")})


def forms_of_one_object(api: Api) -> None:
    _fill(api)
    for accept in (_FORMS["table"], _FORMS["metadata"], _FORMS["metadata list"]):
        api.get("nads/a", accept=accept)
        api.get("configmaps/a", accept=accept)
        api.get("configmaps/absent", accept=accept)


def forms_of_writes(api: Api) -> None:
    api.send("POST", "configmaps", config_map(x="1"), accept=_FORMS["metadata"])
    api.patch("configmaps/a", {"data": {"x": "2"}}, accept=_FORMS["metadata"])
    api.delete("configmaps/a", accept=_FORMS["metadata"])


CASES: list[Case] = [
    *(
        case(f"{path} as {name}", _fill, get(path, accept=accept))
        for name, accept in _FORMS.items()
        for path in ("configmaps", "nads")
    ),
    *(case(f"{path} in a table", _fill, get(path, accept=_FORMS["table"])) for path in ("pods", "deployments", "vms")),
    *(
        case(f"table including {what}", _fill, get("configmaps", accept=_FORMS["table"], includeObject=what))
        for what in ("None", "Object", "Metadata", "Wrong")
    ),
    case(
        "table with limit",
        _fill,
        post("configmaps", config_map("b")),
        get("configmaps", accept=_FORMS["table"], limit="1"),
    ),  # fmt: skip
    case("discovery api", get("/api")),
    case("discovery groups", _groups),
    case("discovery api v1", _discovered("/api/v1", *_in_version("api/v1"))),
    *(case(f"discovery {group}", get(f"/apis/{group}")) for group in _GROUPS),
    *(case(f"discovery {version}", _discovered(f"/{version}", *_in_version(version))) for version in _VERSIONS),
    *told(forms_of_one_object, forms_of_writes),
]
