from __future__ import annotations

from typing import Any

import pytest
from simcluster.testing import Client

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
POLICIES = "/apis/migrations.kubevirt.io/v1alpha1/migrationpolicies"
MACHINES = "/apis/kubevirt.io/v1/namespaces/default/virtualmachines"
INSTANCES = "/apis/kubevirt.io/v1/namespaces/default/virtualmachineinstances"
STALE = "the object has been modified; please apply your changes to the latest version and try again"


def policy(name: str = "p", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "migrations.kubevirt.io/v1alpha1",
        "kind": "MigrationPolicy",
        "metadata": {"name": name},
        "spec": {"selectors": {}, **spec},
    }


def machine(name: str = "vm") -> dict[str, Any]:
    domain = {"devices": {}, "memory": {"guest": "1Gi"}}
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": {"name": name},
        "spec": {"runStrategy": "Halted", "template": {"spec": {"domain": domain}}},
    }


def config_map(name: str = "a", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def test_create_fills_in_what_the_server_decides(client: Client) -> None:
    body = policy()
    body["metadata"]["resourceVersion"] = ""
    made = client.post(POLICIES, body).json()["metadata"]
    assert made["uid"] and made["creationTimestamp"] and made["resourceVersion"]
    assert made["generation"] == 1
    assert "generation" not in client.post(CONFIG_MAPS, config_map()).json()["metadata"]
    manager = made["managedFields"][0]
    assert (manager["manager"], manager["operation"]) == ("Python-urllib", "Update")


def test_a_generated_name_keeps_its_prefix(client: Client) -> None:
    body = config_map()
    body["metadata"] = {"generateName": "job-"}
    made = client.post(CONFIG_MAPS, body).json()["metadata"]
    assert made["generateName"] == "job-" and made["name"].startswith("job-")
    suffix = made["name"].removeprefix("job-")
    assert len(suffix) == 5 and set(suffix) <= set("bcdfghjklmnpqrstvwxz2456789")


def test_the_second_create_of_a_name_is_refused(client: Client) -> None:
    client.post(POLICIES, policy())
    answer = client.post(POLICIES, policy())
    assert (answer.status, answer.json()["reason"]) == (409, "AlreadyExists")
    assert answer.json()["message"] == 'migrationpolicies.migrations.kubevirt.io "p" already exists'
    assert answer.json()["details"] == {"name": "p", "group": "migrations.kubevirt.io", "kind": "migrationpolicies"}


def test_no_name_no_namespace(client: Client) -> None:
    body = policy()
    body["metadata"] = {}
    nameless = client.post(POLICIES, body)
    assert nameless.status == 422
    assert "metadata.name: Required value: name or generateName is required" in nameless.json()["message"]
    absent = client.post("/api/v1/namespaces/absent/configmaps", config_map())
    assert (absent.status, absent.json()["message"]) == (404, 'namespaces "absent" not found')
    assert absent.json()["details"]["kind"] == "namespaces"


def test_a_write_with_an_old_version_is_a_conflict(client: Client) -> None:
    old = client.post(CONFIG_MAPS, config_map(x="1")).json()
    client.patch(f"{CONFIG_MAPS}/a", {"data": {"x": "2"}})
    old["data"] = {"x": "3"}
    answer = client.put(f"{CONFIG_MAPS}/a", old)
    assert (answer.status, answer.json()["reason"]) == (409, "Conflict")
    assert answer.json()["message"] == f'Operation cannot be fulfilled on configmaps "a": {STALE}'
    patch = {"metadata": {"resourceVersion": old["metadata"]["resourceVersion"]}, "data": {"x": "3"}}
    assert client.patch(f"{CONFIG_MAPS}/a", patch).status == 409
    assert client.get(f"{CONFIG_MAPS}/a").json()["data"] == {"x": "2"}


def test_a_custom_resource_needs_a_version_to_be_replaced_and_a_core_kind_does_not(client: Client) -> None:
    client.post(POLICIES, policy())
    client.post(CONFIG_MAPS, config_map(x="1"))
    refused = client.put(f"{POLICIES}/p", policy(allowPostCopy=True))
    assert refused.status == 422
    assert "metadata.resourceVersion: Invalid value: 0: must be specified for an update" in refused.json()["message"]
    assert client.put(f"{CONFIG_MAPS}/a", config_map(x="2")).json()["data"] == {"x": "2"}
    assert client.put(f"{CONFIG_MAPS}/absent", config_map("absent")).status == 404


def test_another_uid_is_a_conflict_for_put_and_invalid_for_a_patch(client: Client) -> None:
    made = client.post(CONFIG_MAPS, config_map()).json()
    uid = made["metadata"]["uid"]
    made["metadata"]["uid"] = "other"
    put = client.put(f"{CONFIG_MAPS}/a", made)
    assert put.status == 409
    assert f"Precondition failed: UID in precondition: other, UID in object meta: {uid}" in put.json()["message"]
    patch = client.patch(f"{CONFIG_MAPS}/a", {"metadata": {"uid": "other"}})
    assert patch.status == 422 and "field is immutable" in patch.json()["message"]


def test_equal_content_keeps_the_version(client: Client) -> None:
    made = client.post(POLICIES, policy(allowPostCopy=True)).json()
    version = made["metadata"]["resourceVersion"]
    patched = client.patch(f"{POLICIES}/p", {"spec": {"allowPostCopy": True}})
    assert patched.status == 200 and patched.json()["metadata"]["resourceVersion"] == version
    assert client.put(f"{POLICIES}/p", made).json()["metadata"]["resourceVersion"] == version
    operations = [{"op": "replace", "path": "/spec/allowPostCopy", "value": True}]
    assert client.patch(f"{POLICIES}/p", operations, "json").json()["metadata"]["resourceVersion"] == version


def test_generation_counts_changes_of_the_specification(client: Client) -> None:
    client.post(POLICIES, policy())
    labelled = client.patch(f"{POLICIES}/p", {"metadata": {"labels": {"a": "b"}}}).json()
    assert labelled["metadata"]["generation"] == 1
    changed = client.patch(f"{POLICIES}/p", {"spec": {"allowPostCopy": True}}).json()
    assert changed["metadata"]["generation"] == 2


def test_status_and_the_rest_are_written_apart(client: Client) -> None:
    body = {**machine(), "status": {"ready": True}}
    made = client.post(MACHINES, body).json()
    assert "ready" not in made.get("status", {})
    change = {"status": {"ready": True}, "spec": {"runStrategy": "Always"}, "metadata": {"labels": {"a": "b"}}}
    through_main = client.patch(f"{MACHINES}/vm", {"status": {"ready": True}}).json()
    assert "ready" not in through_main.get("status", {})
    through_status = client.patch(f"{MACHINES}/vm/status", change).json()
    assert through_status["status"]["ready"] is True
    assert through_status["spec"]["runStrategy"] == "Halted" and "labels" not in through_status["metadata"]
    assert through_status["metadata"]["generation"] == made["metadata"]["generation"]


def test_an_instance_has_no_status_of_its_own_and_its_generation_counts_everything(client: Client) -> None:
    body = {**machine(), "kind": "VirtualMachineInstance", "spec": machine()["spec"]["template"]["spec"]}
    assert client.post(INSTANCES, body).status == 201
    absent = client.patch(f"{INSTANCES}/vm/status", {"status": {"phase": "Running"}})
    assert absent.status == 404
    assert absent.json()["message"] == 'virtualmachineinstances.kubevirt.io "vm" not found'
    changed = client.patch(f"{INSTANCES}/vm", {"status": {"phase": "Running"}}).json()
    assert changed["status"]["phase"] == "Running" and changed["metadata"]["generation"] == 2


@pytest.mark.parametrize(
    ("validation", "create", "patch"), [("Ignore", 201, 200), ("Warn", 201, 200), ("", 201, 200), ("Strict", 400, 422)]
)
def test_unknown_fields(client: Client, validation: str, create: int, patch: int) -> None:
    params = {"fieldValidation": validation} if validation else {}
    made = client.post(POLICIES, policy(bogus=1), **params)
    assert made.status == create
    warned = ['unknown field "spec.bogus"'] if validation in ("", "Warn") else []
    assert made.warnings == warned
    if create == 201:
        assert "bogus" not in made.json()["spec"]
    else:
        assert 'strict decoding error: unknown field "spec.bogus"' in made.json()["message"]
        client.post(POLICIES, policy())
    patched = client.patch(f"{POLICIES}/p", {"spec": {"bogus": 1}}, **params)
    assert (patched.status, patched.warnings) == (patch, warned)
    if patch == 422:
        assert patched.json()["message"].startswith(' "" is invalid: patch: Invalid value:')


def test_dry_runs_change_nothing(client: Client) -> None:
    made = client.post(CONFIG_MAPS, config_map(), dryRun="All")
    assert made.status == 201
    meta = made.json()["metadata"]
    assert meta["uid"] and meta["creationTimestamp"] and "resourceVersion" not in meta
    assert client.get(f"{CONFIG_MAPS}/a").status == 404
    stored = client.post(POLICIES, policy()).json()
    patched = client.patch(f"{POLICIES}/p", {"spec": {"allowPostCopy": True}}, dryRun="All").json()
    assert patched["spec"]["allowPostCopy"] is True and patched["metadata"]["generation"] == 2
    assert patched["metadata"]["resourceVersion"] == stored["metadata"]["resourceVersion"]
    assert client.delete(f"{POLICIES}/p", dryRun="All").json()["status"] == "Success"
    assert client.get(f"{POLICIES}/p").json() == stored
    assert client.post(POLICIES, policy(), dryRun="All").status == 409
    refused = client.post(POLICIES, policy("q"), dryRun="true")
    assert refused.status == 422
    assert 'dryRun: Unsupported value: ["true"]: supported values: "All"' in refused.json()["message"]


def test_names_kinds_and_versions_that_do_not_fit_the_url(client: Client) -> None:
    client.post(POLICIES, policy())
    other = {**policy("other"), "metadata": {"name": "other", "resourceVersion": "1"}}
    answer = client.put(f"{POLICIES}/p", other)
    assert answer.status == 400
    assert answer.json()["message"] == "the name of the object (other) does not match the name on the URL (p)"
    kind = client.post(POLICIES, {**policy("q"), "kind": "Wrong"})
    assert kind.status == 422 and 'kind: Invalid value: "Wrong": must be' in kind.json()["message"]
    version = client.post(POLICIES, {**policy("q"), "apiVersion": "a/v1"})
    assert version.status == 400 and "the API version in the data (a/v1)" in version.json()["message"]
    broken = client.request("POST", POLICIES, b"{")
    assert (broken.status, broken.json()["reason"]) == (400, "BadRequest")


def test_the_wrong_type_in_a_core_kind_is_a_bad_request(client: Client) -> None:
    answer = client.post(CONFIG_MAPS, {"metadata": {"name": "a"}, "data": {"x": 1}})
    assert answer.status == 400
    assert answer.json()["message"] == (
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into '
        "Go struct field ConfigMap.data of type string"
    )


def test_methods_that_a_url_does_not_take(client: Client) -> None:
    client.post(CONFIG_MAPS, config_map())
    client.post(POLICIES, policy())
    assert client.post(f"{CONFIG_MAPS}/a", config_map()).json()["reason"] == "MethodNotAllowed"
    assert client.post(f"{POLICIES}/p", policy()).json()["reason"] == "AlreadyExists"
    assert client.put(CONFIG_MAPS, config_map()).status == 405


def test_a_new_machine_gets_what_the_webhook_adds(client: Client) -> None:
    made = client.post(MACHINES, machine()).json()
    template = made["spec"]["template"]
    assert template["spec"]["domain"]["machine"]["type"]
    assert template["spec"]["architecture"] == "amd64"
    both = machine("both")
    both["spec"]["running"] = True
    refused = client.post(MACHINES, both)
    assert refused.status == 422 and "mutually exclusive" in refused.json()["message"]
    assert refused.json()["details"]["causes"][0]["field"] == "spec.running"


def test_a_key_that_is_there_twice(client: Client) -> None:
    text = b'{"metadata": {"name": "a"}, "data": {"x": "1", "x": "2", "y": "3", "y": "4"}}'
    warned = client.request("POST", CONFIG_MAPS, text)
    assert warned.status == 201 and warned.json()["data"]["x"] == "2"
    assert warned.warnings == ['duplicate field "data.x"', 'duplicate field "data.y"']
    refused = client.request("POST", CONFIG_MAPS, text, params={"fieldValidation": "Strict"})
    assert refused.status == 400 and 'strict decoding error: duplicate field "data.x"' in refused.json()["message"]
    silent = client.request("PUT", f"{CONFIG_MAPS}/a", text, params={"fieldValidation": "Ignore"})
    assert silent.status == 200 and silent.warnings == []


def test_yaml_is_taken_and_other_types_are_not(client: Client) -> None:
    text = b"metadata: {name: a}\ndata: {x: '1'}\n"
    assert client.request("POST", CONFIG_MAPS, text, content_type="application/yaml").status == 201
    assert client.request("POST", CONFIG_MAPS, text, content_type="text/plain").status == 415
    broken = client.request("POST", CONFIG_MAPS, b"a: [", content_type="application/yaml")
    assert broken.status == 400 and "yaml: line 1: did not find expected node content" in broken.json()["message"]


def test_the_details_of_a_missing_version_name_the_plural(client: Client) -> None:
    client.post(POLICIES, policy())
    answer = client.put(f"{POLICIES}/p", policy(allowPostCopy=True)).json()
    assert answer["message"].startswith('migrationpolicies.migrations.kubevirt.io "p" is invalid: metadata.resource')
    assert answer["details"]["kind"] == "migrationpolicies"


def test_replicas_through_the_scale_subresource(client: Client) -> None:
    sets = "/apis/kubevirt.io/v1/namespaces/default/virtualmachineinstancereplicasets"
    template = {"metadata": {"labels": {"a": "b"}}, "spec": machine()["spec"]["template"]["spec"]}
    body = {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstanceReplicaSet",
        "metadata": {"name": "s"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template},
    }
    assert client.post(sets, body).status == 201
    scale = client.get(f"{sets}/s/scale").json()
    assert (scale["kind"], scale["spec"]["replicas"]) == ("Scale", 1)
    scale["spec"]["replicas"] = 4
    assert client.put(f"{sets}/s/scale", scale).json()["spec"]["replicas"] == 4
    assert client.patch(f"{sets}/s/scale", {"spec": {"replicas": 2}}).json()["spec"]["replicas"] == 2
    assert client.get(f"{sets}/s").json()["spec"]["replicas"] == 2


def test_a_resource_without_namespaces_is_not_found_in_one(client: Client) -> None:
    assert client.get("/api/v1/namespaces/default/nodes").status == 404
    assert client.get("/api/v1/namespaces/default").json()["kind"] == "Namespace"


def test_a_body_that_is_too_large(client: Client) -> None:
    answer = client.post(CONFIG_MAPS, config_map(x="y" * (4 << 20)))
    assert (answer.status, answer.json()["reason"]) == (413, "RequestEntityTooLarge")
