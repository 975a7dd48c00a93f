from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simcluster.testing import Client

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def allow(client: Client, user: str, verbs: list[str], resources: list[str], group: str = "") -> None:
    rules = [{"apiGroups": [group], "resources": resources, "verbs": verbs}]
    role = {"metadata": {"name": f"of-{user}"}, "rules": rules}
    assert client.post(f"{RBAC}/namespaces/default/roles", role).status == 201
    binding = {
        "metadata": {"name": f"of-{user}"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": f"of-{user}"},
        "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}],
    }
    assert client.post(f"{RBAC}/namespaces/default/rolebindings", binding).status == 201


def test_credentials_that_are_not_accepted(local: Any) -> None:
    answer = Client(local.url, "wrong").get(CONFIG_MAPS)
    assert answer.status == 401
    assert answer.json() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "Unauthorized",
        "reason": "Unauthorized",
        "code": 401,
    }


def test_no_credentials_make_the_user_anonymous(local: Any) -> None:
    nobody = Client(local.url)
    answer = nobody.get(CONFIG_MAPS)
    assert answer.status == 403
    assert answer.json()["message"] == (
        'configmaps is forbidden: User "system:anonymous" cannot list resource "configmaps" in API group "" '
        'in the namespace "default"'
    )
    assert nobody.get("/version").json()["major"] == "1"
    assert nobody.get("/readyz").body == b"ok"
    assert nobody.get("/apis").status == 403


def test_an_expired_token(make_local: Callable[..., Any]) -> None:
    local = make_local(scale=1000)
    answer = local.client.post("/simcluster/tokens", {"user": "short", "expires_seconds": -1}).json()
    assert Client(local.url, answer["token"]).get("/version").status == 401
    lasting = local.client.post("/simcluster/tokens", {"user": "long", "expires_seconds": 1e6}).json()
    assert Client(local.url, lasting["token"]).get("/version").status == 200


def test_refusals_name_user_verb_resource_and_scope(local: Any) -> None:
    alice = local.as_user("alice")
    one = alice.get(f"{CONFIG_MAPS}/x")
    assert one.json()["message"] == (
        'configmaps "x" is forbidden: User "alice" cannot get resource "configmaps" in API group "" '
        'in the namespace "default"'
    )
    assert one.json()["details"] == {"name": "x", "kind": "configmaps"}
    made = alice.post("/apis/cdi.kubevirt.io/v1beta1/namespaces/default/datavolumes", {})
    assert made.json()["message"] == (
        'datavolumes.cdi.kubevirt.io is forbidden: User "alice" cannot create resource "datavolumes" '
        'in API group "cdi.kubevirt.io" in the namespace "default"'
    )
    assert made.json()["details"] == {"group": "cdi.kubevirt.io", "kind": "datavolumes"}
    cluster = alice.get("/api/v1/nodes")
    assert cluster.json()["message"].endswith('cannot list resource "nodes" in API group "" at the cluster scope')
    status = alice.patch("/apis/kubevirt.io/v1/namespaces/default/virtualmachines/vm/status", {})
    assert 'cannot patch resource "virtualmachines/status" in API group "kubevirt.io"' in status.json()["message"]


def test_a_role_in_a_namespace_allows_there_only(local: Any) -> None:
    alice = local.as_user("alice")
    allow(local.client, "alice", ["get", "list", "watch"], ["configmaps"])
    assert alice.get(CONFIG_MAPS).status == 200
    assert alice.get("/api/v1/configmaps").status == 403
    assert alice.post(CONFIG_MAPS, {"metadata": {"name": "x"}}).status == 403
    assert list(alice.watch(CONFIG_MAPS, timeoutSeconds="1")) == []


def test_namespace_admins_read_migrations_and_cannot_make_them(local: Any) -> None:
    boss = local.as_user("boss")
    binding = {
        "metadata": {"name": "boss"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"kind": "User", "name": "boss", "apiGroup": "rbac.authorization.k8s.io"}],
    }
    assert local.client.post(f"{RBAC}/namespaces/default/rolebindings", binding).status == 201
    migrations = "/apis/kubevirt.io/v1/namespaces/default/virtualmachineinstancemigrations"
    assert boss.get(migrations).status == 200
    assert boss.post(migrations, {"metadata": {"generateName": "x-"}, "spec": {"vmiName": "x"}}).status == 403
    migrate = "/apis/subresources.kubevirt.io/v1/namespaces/default/virtualmachines/x/migrate"
    assert boss.put(migrate, {}).status == 403
    assert boss.put(migrate.replace("migrate", "start"), {}).status == 404
    assert boss.get("/apis/kubevirt.io/v1/kubevirts").status == 200


def test_access_reviews_answer_for_the_caller(local: Any) -> None:
    alice = local.as_user("alice")
    allow(local.client, "alice", ["create"], ["pods"])
    attributes = {"verb": "create", "resource": "pods", "namespace": "default"}
    granted = alice.post(REVIEWS, {"spec": {"resourceAttributes": attributes}})
    assert granted.status == 201 and granted.json()["status"]["allowed"] is True
    denied = alice.post(REVIEWS, {"spec": {"resourceAttributes": {**attributes, "verb": "delete"}}})
    assert denied.status == 201 and denied.json()["status"] == {"allowed": False}
    who = alice.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    assert who.json()["status"]["userInfo"] == {"username": "alice", "groups": ["system:authenticated"]}


def test_administrators_may_be_somebody_else_and_others_may_not(local: Any) -> None:
    as_alice = Client(local.url, local.client.token, headers={"Impersonate-User": "alice"})
    assert 'User "alice" cannot list' in as_alice.get(CONFIG_MAPS).json()["message"]
    alice = local.as_user("alice")
    refused = Client(local.url, alice.token, headers={"Impersonate-User": "root"}).get(CONFIG_MAPS)
    assert refused.status == 403 and 'cannot impersonate resource "users"' in refused.json()["message"]


def test_service_account_tokens(local: Any) -> None:
    account = {"metadata": {"name": "robot"}}
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    assert local.client.post(accounts, account).status == 201
    asked = local.client.post(f"{accounts}/robot/token", {"spec": {"expirationSeconds": 600}})
    assert asked.status == 201
    robot = Client(local.url, asked.json()["status"]["token"])
    assert 'User "system:serviceaccount:default:robot"' in robot.get(CONFIG_MAPS).json()["message"]
    assert local.client.post(f"{accounts}/absent/token", {}).status == 404
    short = local.client.post(f"{accounts}/robot/token", {"spec": {"expirationSeconds": 5}})
    assert short.status == 422 and "may not specify a duration less than 10 minutes" in short.json()["message"]


def test_the_simulator_answers_administrators_only(local: Any) -> None:
    alice = local.as_user("alice")
    for path in ("stats", "faults"):
        assert alice.get(f"/simcluster/{path}").status == 403
    assert alice.post("/simcluster/restart", {}).status == 403
    assert Client(local.url).get("/simcluster/clock").json()["scale"] == 1.0
