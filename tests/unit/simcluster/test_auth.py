"""Tokens, and what RBAC objects allow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from simcluster.auth import ANONYMOUS, Authenticator, Authorizer, User
from simcluster.rbac_defaults import EVERY_VERB, bootstrap_objects, cluster_role, cluster_role_binding, rule
from simcluster.schema import Registry

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RBAC = "rbac.authorization.k8s.io/v1"
ALICE = {"kind": "User", "name": "alice"}


class Objects:
    """RBAC objects in memory."""

    def __init__(self, *extra: dict[str, Any]) -> None:
        self._objects = [*bootstrap_objects(), *extra]

    def list(
        self, group: str, plural: str, namespace: str | None = None, labels: dict[str, str] | None = None
    ) -> list[dict[str, Any]]:
        return [
            obj
            for obj in self._objects
            if f"{obj['kind'].lower()}s" == plural
            and namespace in (None, obj["metadata"].get("namespace", ""))
            and (labels or {}).items() <= obj["metadata"].get("labels", {}).items()
        ]

    def get(self, group: str, plural: str, namespace: str, name: str) -> dict[str, Any] | None:
        return next((o for o in self.list(group, plural, namespace) if o["metadata"]["name"] == name), None)


def role(name: str, *rules: dict[str, Any], namespace: str = "p1") -> dict[str, Any]:
    return {
        "apiVersion": RBAC,
        "kind": "Role",
        "metadata": {"name": name, "namespace": namespace},
        "rules": list(rules),
    }


def binding(kind: str, name: str, *subjects: dict[str, str], namespace: str = "p1") -> dict[str, Any]:
    return {
        "apiVersion": RBAC,
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
        "subjects": list(subjects),
    }


def may(
    authorizer: Authorizer, verb: str, what: str, namespace: str = "p1", user: str = "alice", name: str = ""
) -> bool:
    """``what`` is ``resource.group/subresource``."""
    full, _, subresource = what.partition("/")
    plural, _, group = full.partition(".")
    return authorizer.allowed(User(user, ("system:authenticated",)), verb, group, plural, subresource, namespace, name)


MIGRATIONS = "virtualmachineinstancemigrations.kubevirt.io"


class TestTokens:
    def test_a_token_stands_for_a_user_who_is_authenticated(self) -> None:
        known = Authenticator()
        known.add("t", "alice", ["team"])
        user = known.user_for("t", NOW)
        assert user is not None
        assert (user.name, user.groups) == ("alice", ("team", "system:authenticated"))
        assert known.user_for("other", NOW) is None

    def test_a_token_expires_at_its_second(self) -> None:
        known = Authenticator()
        known.add("t", "alice", (), NOW)
        assert known.user_for("t", NOW - timedelta(seconds=1)) is not None
        assert known.user_for("t", NOW) is None

    def test_a_revoked_token_is_unknown(self) -> None:
        known = Authenticator()
        known.add("t", "alice")
        known.revoke("t")
        known.revoke("t")
        assert known.user_for("t", NOW) is None

    def test_tokens_of_service_accounts_carry_their_groups_and_what_they_are_bound_to(self) -> None:
        known = Authenticator()
        extra = {"authentication.kubernetes.io/node-name": ("worker-01",)}
        user = known.user_for(known.issue("kubevirt", "handler", extra=extra), NOW)
        assert user is not None
        assert user.name == "system:serviceaccount:kubevirt:handler"
        assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:kubevirt", "system:authenticated")
        assert user.extra == extra
        assert known.issue("kubevirt", "handler") != known.issue("kubevirt", "handler")


class TestRules:
    def test_masters_may_do_everything(self) -> None:
        admin = User("admin", ("system:masters",))
        authorizer = Authorizer(Objects())
        assert authorizer.allowed(admin, "delete", "kubevirt.io", "virtualmachines", "", "p1", "x")
        assert authorizer.allowed_path(admin, "post", "/simcluster/faults")

    def test_a_role_holds_in_its_namespace(self) -> None:
        pods = role("reader", rule("", ["pods"], ["get", "list"]))
        authorizer = Authorizer(Objects(pods, binding("Role", "reader", ALICE)))
        assert may(authorizer, "get", "pods")
        assert not may(authorizer, "get", "pods", "p2")
        assert not may(authorizer, "get", "pods", "")
        assert not may(authorizer, "delete", "pods")
        assert not may(authorizer, "get", "pods/log")
        assert not may(authorizer, "get", "pods.metrics.k8s.io")
        assert not may(authorizer, "get", "pods", user="bob")

    @pytest.mark.parametrize(
        ("resources", "verb", "what", "allowed"),
        [
            (["*"], "update", "deployments.apps/scale", True),
            (["*/scale"], "update", "deployments.apps/scale", True),
            (["*/scale"], "update", "deployments.apps", False),
            (["deployments/scale"], "update", "deployments.apps/scale", True),
            (["deployments"], "update", "deployments.apps/scale", False),
        ],
    )
    def test_subresources(self, resources: list[str], verb: str, what: str, allowed: bool) -> None:
        objects = Objects(role("r", rule("apps", resources, ["*"])), binding("Role", "r", ALICE))
        assert may(Authorizer(objects), verb, what) is allowed

    def test_resource_names(self) -> None:
        only = {**rule("coordination.k8s.io", ["leases"], ["get", "list", "create"]), "resourceNames": ["mine"]}
        authorizer = Authorizer(Objects(role("r", only), binding("Role", "r", ALICE)))
        assert may(authorizer, "get", "leases.coordination.k8s.io", name="mine")
        assert not may(authorizer, "get", "leases.coordination.k8s.io", name="other")
        assert not may(authorizer, "list", "leases.coordination.k8s.io")
        assert not may(authorizer, "create", "leases.coordination.k8s.io")

    @pytest.mark.parametrize(
        ("subject", "user", "groups", "allowed"),
        [
            ({"kind": "Group", "name": "team"}, "alice", ("team",), True),
            ({"kind": "Group", "name": "team"}, "alice", (), False),
            ({"kind": "ServiceAccount", "name": "sa", "namespace": "p2"}, "system:serviceaccount:p2:sa", (), True),
            ({"kind": "ServiceAccount", "name": "sa"}, "system:serviceaccount:p1:sa", (), True),
            ({"kind": "ServiceAccount", "name": "sa"}, "system:serviceaccount:p2:sa", (), False),
        ],
    )
    def test_subjects(self, subject: dict[str, str], user: str, groups: tuple[str, ...], allowed: bool) -> None:
        objects = Objects(role("r", rule("", ["pods"], ["get"])), binding("Role", "r", subject))
        assert Authorizer(objects).allowed(User(user, groups), "get", "", "pods", "", "p1", "x") is allowed

    def test_a_binding_to_a_role_that_is_not_there_gives_nothing(self) -> None:
        assert not may(Authorizer(Objects(binding("Role", "gone", ALICE))), "get", "pods")

    def test_a_cluster_role_bound_cluster_wide_holds_everywhere(self) -> None:
        nodes = cluster_role("nodes", [rule("", ["nodes", "pods"], EVERY_VERB)])
        authorizer = Authorizer(Objects(nodes, cluster_role_binding("nodes", "nodes", [ALICE])))
        assert may(authorizer, "patch", "nodes", "")
        assert may(authorizer, "get", "pods", "p7")

    def test_aggregation_follows_new_roles(self) -> None:
        more = cluster_role("more", [rule("a.b", ["things"], ["get"])], aggregate_to_view="true")
        bound = binding("ClusterRole", "admin", ALICE)
        assert may(Authorizer(Objects(more, bound)), "get", "things.a.b")
        assert not may(Authorizer(Objects(bound)), "get", "things.a.b")

    def test_paths_that_are_no_resources(self) -> None:
        authorizer = Authorizer(Objects())
        alice = User("alice", ("system:authenticated",))
        assert authorizer.allowed_path(ANONYMOUS, "get", "/version")
        assert not authorizer.allowed_path(ANONYMOUS, "get", "/apis")
        assert authorizer.allowed_path(alice, "get", "/apis/kubevirt.io/v1")
        assert not authorizer.allowed_path(alice, "put", "/simcluster/faults")


class TestDefaults:
    @pytest.mark.parametrize("name", ["admin", "edit"])
    def test_namespace_roles_own_machines_and_only_see_migrations(self, name: str) -> None:
        authorizer = Authorizer(Objects(binding("ClusterRole", name, ALICE)))
        assert may(authorizer, "create", "virtualmachines.kubevirt.io")
        assert may(authorizer, "update", "virtualmachines.subresources.kubevirt.io/stop")
        assert may(authorizer, "create", "configmaps")
        assert [verb for verb in EVERY_VERB if may(authorizer, verb, MIGRATIONS)] == ["get", "list", "watch"]
        assert not may(authorizer, "update", "virtualmachines.subresources.kubevirt.io/migrate")

    def test_only_an_admin_binds_roles(self) -> None:
        what = "rolebindings.rbac.authorization.k8s.io"
        assert may(Authorizer(Objects(binding("ClusterRole", "admin", ALICE))), "create", what)
        assert not may(Authorizer(Objects(binding("ClusterRole", "edit", ALICE))), "create", what)

    def test_view_reads(self) -> None:
        authorizer = Authorizer(Objects(binding("ClusterRole", "view", ALICE)))
        assert may(authorizer, "list", "virtualmachines.kubevirt.io")
        assert not may(authorizer, "patch", "virtualmachines.kubevirt.io")
        assert not may(authorizer, "get", "secrets")

    def test_the_right_to_migrate_is_bound_by_itself(self) -> None:
        authorizer = Authorizer(Objects(binding("ClusterRole", "kubevirt.io:migrate", ALICE)))
        assert all(may(authorizer, verb, MIGRATIONS) for verb in EVERY_VERB)
        assert may(authorizer, "update", "virtualmachines.subresources.kubevirt.io/migrate")
        assert not may(authorizer, "get", "virtualmachines.kubevirt.io")

    def test_anyone_reads_kubevirts_and_asks_about_own_rights(self) -> None:
        authorizer = Authorizer(Objects())
        assert may(authorizer, "list", "kubevirts.kubevirt.io")
        assert not may(authorizer, "watch", "kubevirts.kubevirt.io")
        assert may(authorizer, "create", "selfsubjectaccessreviews.authorization.k8s.io", "")
        assert authorizer.allowed(ANONYMOUS, "get", "kubevirt.io", "kubevirts", "", "kubevirt", "kubevirt")
        assert not authorizer.allowed(ANONYMOUS, "get", "", "configmaps", "", "p1", "x")

    def test_default_objects_pass_their_schema(self) -> None:
        registry = Registry()
        names = []
        for obj in bootstrap_objects():
            kind = registry.by_kind("rbac.authorization.k8s.io", obj["kind"])
            assert kind is not None
            assert registry.process(kind, "v1", obj, field_validation="Strict") == []
            names.append((obj["kind"], obj["metadata"]["name"]))
        assert len(names) == len(set(names))
