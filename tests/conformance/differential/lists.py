"""Lists, selectors, pages and watches."""

from __future__ import annotations

from .api import Api
from .case import Case, case, get, post, told, watch
from .objects import config_map, network, node, pod, policy, secret

_LABELS: dict[str, str] = {
    "equal": "app=web",
    "double equal": "app==web",
    "not equal": "app!=web",
    "two": "app=web,tier=front",
    "in": "app in (web,db)",
    "in with spaces": "app in ( web , db )",
    "notin": "app notin (web)",
    "exists": "tier",
    "not exists": "!tier",
    "mixed": "app in (web),!absent,tier!=back",
    "empty value": "app=",
    "empty set": "app in ()",
    "greater": "size>3",
    "less": "size<3",
    "greater than words": "size>x",
    "prefixed": "example.com/x=1",
    "spaces": " app = web ",
    "bad operator": "app=>web",
    "bad set": "app in web",
    "unclosed set": "app in (web",
    "bad value": "app=a b",
    "bad value character": "app=a$b",
    "bad key": "-app=web",
    "only operator": "=web",
    "only comma": ",",
    "trailing comma": "app=web,",
    "double comma": "app=web,,tier",
    "only bang": "!",
    "bang with value": "!app=web",
    "tilde": "app~web",
}
_FIELDS: dict[str, tuple[str, str]] = {
    "name": ("configmaps", "metadata.name=m1"),
    "not name": ("configmaps", "metadata.name!=m1"),
    "double equal": ("configmaps", "metadata.name==m1"),
    "namespace": ("configmaps", "metadata.namespace={ns}"),
    "other namespace": ("configmaps", "metadata.namespace=other"),
    "both": ("configmaps", "metadata.name=m1,metadata.namespace={ns}"),
    "unknown": ("configmaps", "data.x=1"),
    "unknown of nads": ("nads", "spec.config=x"),
    "name of nads": ("nads", "metadata.name=n1"),
    "unknown of vms": ("vms", "spec.running=true"),
    "status of namespaces": ("namespaces", "status.phase=Gone"),
    "pod node": ("pods", "spec.nodeName=n"),
    "pod no node": ("pods", "spec.nodeName="),
    "pod phase": ("pods", "status.phase=Pending"),
    "pod unknown": ("pods", "spec.bogus=1"),
    "node unschedulable": ("nodes", "spec.unschedulable=true,metadata.name={ns}"),
    "node unknown": ("nodes", "spec.podCIDR=x"),
    "secret type": ("secrets", "type=Opaque"),
    "secret unknown": ("secrets", "data=x"),
    "event involved": ("events", "involvedObject.name=x"),
    "event unknown": ("events", "involved=x"),
    "no operator": ("configmaps", "metadata.name"),
    "set": ("configmaps", "metadata.name in (m1)"),
    "lease": ("leases", "metadata.name=x"),
    "lease unknown": ("leases", "spec.holderIdentity=x"),
    "migration policies": ("migrationpolicies", "spec.allowPostCopy=true"),
    "empty parts": ("configmaps", "metadata.name=m1,"),
}
_PAGES: dict[str, dict[str, str]] = {
    "one": {"limit": "1"},
    "all": {"limit": "10"},
    "exact": {"limit": "4"},
    "negative": {"limit": "-1"},
    "zero": {"limit": "0"},
    "words": {"limit": "x"},
    "with labels": {"limit": "1", "labelSelector": "app"},
    "with fields": {"limit": "1", "fieldSelector": "metadata.name!=m1"},
    "bad token": {"continue": "abc"},
    "bad token in base64": {"continue": "e30="},
    "bad token with limit": {"continue": "abc", "limit": "1"},
    "version 0": {"resourceVersion": "0", "limit": "1"},
    "version 0 exactly": {"resourceVersion": "0", "resourceVersionMatch": "Exact"},
    "version 1 exactly": {"resourceVersion": "1", "resourceVersionMatch": "Exact"},
    "version of words": {"resourceVersion": "x"},
    "negative version": {"resourceVersion": "-1"},
    "future version": {"resourceVersion": "99999999"},
    "match without version": {"resourceVersionMatch": "Exact"},
    "unknown match": {"resourceVersion": "1", "resourceVersionMatch": "Some"},
    "version 1": {"resourceVersion": "1"},
    "version 1 not older": {"resourceVersion": "1", "resourceVersionMatch": "NotOlderThan"},
    "pretty": {"pretty": "false"},
    "unknown parameter": {"bogus": "1"},
    "timeout of words": {"timeoutSeconds": "x"},
    "initial events without watch": {"sendInitialEvents": "true"},
}
_BAD_WATCHES: dict[str, dict[str, str]] = {
    "bad version": {"resourceVersion": "x"},
    "initial events alone": {"sendInitialEvents": "true"},
    "initial events without bookmarks": {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"},
    "match alone": {"resourceVersionMatch": "NotOlderThan"},
    "initial events exactly": {"sendInitialEvents": "true", "resourceVersionMatch": "Exact"},
    "no initial events without match": {"sendInitialEvents": "false"},
    "match with version": {"resourceVersionMatch": "Exact", "resourceVersion": "1"},
    "unknown field": {"fieldSelector": "data.x=1"},
    "bad label": {"labelSelector": "a in b"},
    "bad timeout": {"timeoutSeconds": "x"},
}


def _fill(api: Api) -> None:
    for name, labels in (
        ("m1", {"app": "web", "tier": "front", "size": "2"}),
        ("m2", {"app": "web", "tier": "back", "size": "4"}),
        ("m3", {"app": "db", "example.com/x": "1"}),
        ("m4", {}),
    ):
        api.unrecorded("POST", "configmaps", config_map(name, {"labels": labels}, x="1"))
    for name in ("n1", "n2", "n3", "n4"):
        api.unrecorded("POST", "nads", network(name))
    api.unrecorded("POST", "pods", pod("p1"))
    api.unrecorded("POST", "secrets", secret("s1"))
    api.unrecorded("POST", "nodes", node(unschedulable=True))


def pages_of_core_kinds(api: Api) -> None:
    _fill(api)
    _page_through(api, "configmaps")


def pages_of_custom_kinds(api: Api) -> None:
    _fill(api)
    _page_through(api, "nads")


def _page_through(api: Api, path: str) -> None:
    first = api.get(path, limit="2")
    name = first["items"][0]["metadata"]["name"]
    api.unrecorded("DELETE", f"{path}/{name[0]}3")
    rest = {"continue": first["metadata"]["continue"]}
    again = api.get(path, limit="1", **rest)
    api.get(path, **{"continue": again["metadata"]["continue"]})
    api.get(path, limit="1", resourceVersion=first["metadata"]["resourceVersion"], **rest)
    api.get(path, limit="1", resourceVersionMatch="Exact", **rest)
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


def list_at_a_version(api: Api) -> None:
    old = api.post("configmaps", config_map("m1", x="1"))["metadata"]["resourceVersion"]
    new = api.post("configmaps", config_map("m2", x="1"))["metadata"]["resourceVersion"]
    api.get("configmaps", resourceVersion=old, resourceVersionMatch="Exact")
    api.get("configmaps", resourceVersion=new, resourceVersionMatch="NotOlderThan")
    api.get("configmaps", resourceVersion=new)
    api.get("configmaps", resourceVersion=old, limit="1")
    api.get("configmaps/m1", resourceVersion=old)
    api.get("configmaps/m1", resourceVersion="0")
    api.get("configmaps/m1", resourceVersion="x")
    api.get("configmaps/m1", resourceVersion="99999999")


def order_over_namespaces(api: Api) -> None:
    for name in ("{ns}-b", "{ns}-a"):
        api.unrecorded("POST", "namespaces", {"metadata": {"name": name}})
        for each in ("z", "a"):
            path = f"/api/v1/namespaces/{name}/configmaps"
            api.unrecorded("POST", path, config_map(each, {"labels": {"order": "{ns}"}}))
    api.get("/api/v1/configmaps", labelSelector="order={ns}")
    api.get("/api/v1/configmaps", labelSelector="order={ns}", limit="3")


def watch_from_a_version(api: Api) -> None:
    start = api.get("configmaps")["metadata"]["resourceVersion"]
    api.unrecorded("POST", "configmaps", config_map("m1", x="1"))
    api.unrecorded("PATCH", "configmaps/m1", {"data": {"x": "2"}}, content_type="application/merge-patch+json")
    api.unrecorded("DELETE", "configmaps/m1")
    api.watch("configmaps", 3, resourceVersion=start)


def watch_of_custom_kind_from_a_version(api: Api) -> None:
    start = api.get("nads")["metadata"]["resourceVersion"]
    api.unrecorded("POST", "nads", network("m1"))
    api.unrecorded(
        "PATCH", "nads/m1", {"metadata": {"labels": {"x": "2"}}}, content_type="application/merge-patch+json"
    )
    api.unrecorded(
        "PATCH", "nads/m1", {"metadata": {"labels": {"x": "2"}}}, content_type="application/merge-patch+json"
    )
    api.unrecorded("DELETE", "nads/m1")
    api.watch("nads", 3, resourceVersion=start)


def watch_resumed_from_an_event(api: Api) -> None:
    first = api.post("configmaps", config_map("m1", x="1"))["metadata"]["resourceVersion"]
    second = api.post("configmaps", config_map("m2", x="1"))["metadata"]["resourceVersion"]
    api.post("configmaps", config_map("m3", x="1"))
    api.watch("configmaps", 2, resourceVersion=first)
    api.watch("configmaps", 1, resourceVersion=second)


def watch_with_a_label_selector(api: Api) -> None:
    start = api.get("configmaps")["metadata"]["resourceVersion"]
    merge = "application/merge-patch+json"
    api.post("configmaps", config_map("m1", {"labels": {"app": "web"}}, x="1"))
    api.post("configmaps", config_map("m2", {"labels": {"app": "db"}}, x="1"))
    api.unrecorded("PATCH", "configmaps/m1", {"metadata": {"labels": {"app": "db"}}}, content_type=merge)
    api.unrecorded("PATCH", "configmaps/m2", {"metadata": {"labels": {"app": "web"}}}, content_type=merge)
    api.unrecorded("PATCH", "configmaps/m1", {"data": {"y": "1"}}, content_type=merge)
    api.unrecorded("DELETE", "configmaps/m1")
    api.unrecorded("DELETE", "configmaps/m2")
    api.watch("configmaps", 4, resourceVersion=start, labelSelector="app=web")


def watch_of_one_name(api: Api) -> None:
    start = api.get("configmaps")["metadata"]["resourceVersion"]
    for name in ("m1", "m2", "m3"):
        api.unrecorded("POST", "configmaps", config_map(name))
    api.watch("configmaps", 1, resourceVersion=start, fieldSelector="metadata.name=m2")


def watch_of_pods_on_a_node(api: Api) -> None:
    start = api.get("pods")["metadata"]["resourceVersion"]
    api.unrecorded("POST", "pods", pod("p1"))
    api.unrecorded("POST", "pods", pod("p2", nodeName="n"))
    api.watch("pods", 1, resourceVersion=start, fieldSelector="spec.nodeName=n")


def watch_from_the_start(api: Api) -> None:
    _fill(api)
    api.watch("configmaps", 4)
    api.watch("configmaps", 4, resourceVersion="0")
    api.watch("nads", 4)


def watch_with_initial_events(api: Api) -> None:
    _fill(api)
    options = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    api.watch("configmaps", 5, **options)
    api.watch("nads", 5, **options)
    api.watch("configmaps", 3, labelSelector="app=web", **options)


def watch_of_one_object_is_a_get(api: Api) -> None:
    _fill(api)
    api.get("configmaps/m1", watch="false")


def watch_as_table(api: Api) -> None:
    _fill(api)
    api.get("configmaps", watch="1", timeoutSeconds="1", accept="application/json;as=Table;v=v1;g=meta.k8s.io")


def deletion_as_seen_by_a_watch(api: Api) -> None:
    start = api.post("nads", network("m1") | {"metadata": {"name": "m1", "finalizers": ["example.com/f"]}})
    api.unrecorded("DELETE", "nads/m1")
    merge = "application/merge-patch+json"
    api.unrecorded("PATCH", "nads/m1", {"metadata": {"finalizers": None}}, content_type=merge)
    api.watch("nads", 2, resourceVersion=start["metadata"]["resourceVersion"])


def no_op_makes_no_event(api: Api) -> None:
    start = api.post("migrationpolicies", policy(meta={"labels": {"of": "{ns}"}}))["metadata"]["resourceVersion"]
    merge = "application/merge-patch+json"
    api.unrecorded("PATCH", "migrationpolicies/{ns}", {"spec": {"selectors": {}}}, content_type=merge)
    api.unrecorded("PATCH", "migrationpolicies/{ns}", {"spec": {"allowPostCopy": True}}, content_type=merge)
    api.watch("migrationpolicies", 1, resourceVersion=start, labelSelector="of={ns}")


CASES: list[Case] = [
    *(case(f"labels {name}", _fill, get("configmaps", labelSelector=text)) for name, text in _LABELS.items()),
    *(case(f"fields {name}", _fill, get(path, fieldSelector=text)) for name, (path, text) in _FIELDS.items()),
    *(case(f"page {name}", _fill, get("configmaps", **options)) for name, options in _PAGES.items()),
    *(
        case(f"page of nads {name}", _fill, get("nads", **options))
        for name, options in _PAGES.items()
        # a real server waits for the future for three seconds
        if not name.startswith("future")
    ),
    *(
        case(f"watch {name}", get("configmaps", watch="true", timeoutSeconds="1", **options))
        if "timeoutSeconds" not in options
        else case(f"watch {name}", get("configmaps", watch="true", **options))
        for name, options in _BAD_WATCHES.items()
    ),
    case("watch ends", watch("configmaps", timeoutSeconds="1", resourceVersion="0")),
    case("watch ends with bookmarks asked for", watch("nads", timeoutSeconds="1", allowWatchBookmarks="true")),
    case("list of nothing", get("configmaps"), get("nads"), get("vms"), get("leases")),
    case("one after create", post("configmaps", config_map()), get("configmaps"), get("configmaps/a")),
    *told(
        pages_of_core_kinds,
        pages_of_custom_kinds,
        list_at_a_version,
        order_over_namespaces,
        watch_from_a_version,
        watch_of_custom_kind_from_a_version,
        watch_resumed_from_an_event,
        watch_with_a_label_selector,
        watch_of_one_name,
        watch_of_pods_on_a_node,
        watch_from_the_start,
        watch_with_initial_events,
        watch_of_one_object_is_a_get,
        watch_as_table,
        deletion_as_seen_by_a_watch,
        no_op_makes_no_event,
    ),
]
