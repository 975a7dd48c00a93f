"""Where the simulated API is known to differ from a real one, by the name of the case.

Everything that is not listed here as a place of a case is compared; places are told as ``comparison.differences`` names
them: the step's number, then the way to the value.
"""

from __future__ import annotations

from .comparison import Known, known

_NO_DIFF = "the message ends in a diff of Go structs, which says nothing that the first line does not"
_GO_STRUCT = "the message quotes a Go struct with the names and all the empty fields that it has inside the server"
_DESCRIPTIONS = "descriptions of columns are paragraphs of Kubernetes' reference, which no client shows"
_REVIEWS = "an answer that is not stored has managedFields; which binding it was that allowed something is for people"
_ESCALATION = "roles and bindings are only made by administrators, so whoever may write them may grant anything"
_INSTALLED = "the generation counts what happened to the object before, which was installed in another way"
_YAML = "no client asks for YAML; the simulated API answers with the same content in JSON"
_NOT_ACCEPTABLE = "the message lists representations that only watches and binary clients use"
_DAEMON_SET = "the annotation is a field of an API version that is gone; no client reads it"
_NOT_SERVED = "subresources that need a kubelet, or that no client of the collection uses, are not served"

_TABLES = (
    "configmaps-as-table",
    "configmaps-as-table-of-kubectl",
    "nads-as-table",
    "nads-as-table-of-kubectl",
    "table-including-none",
    "table-including-object",
    "table-including-metadata",
    "pods-in-a-table",
    "deployments-in-a-table",
    "vms-in-a-table",
)

KNOWN: dict[str, Known] = {
    "immutable-fields": known(_NO_DIFF, "8.body.message", "8.body.details.causes.0.message"),
    "immutable-pod": known(_NO_DIFF, "3.body.message", "3.body.details.causes.0.message"),
    "wrong-taints-that-are-alike": known(_GO_STRUCT, "1.body.message", "1.body.details.causes.0.message"),
    "wrong-budget-of-both": known(_GO_STRUCT, "1.body.message", "1.body.details.causes.0.message"),
    "bindings-are-fixed": known(_GO_STRUCT, "2.body.message", "2.body.details.causes.0.message"),
    "watch-as-table": known(_DESCRIPTIONS, "1.body.0.object.columnDefinitions.*.description"),
    **{name: known(_DESCRIPTIONS, "1.body.columnDefinitions.*.description") for name in _TABLES},
    "table-with-limit": known(_DESCRIPTIONS, "2.body.columnDefinitions.*.description"),
    "forms-of-one-object": known(_DESCRIPTIONS, "*.body.columnDefinitions.*.description"),
    "access-reviews": known(_REVIEWS, "*.body.metadata.managedFields", "*.body.status.reason"),
    "tokens-of-accounts": known(_REVIEWS, "4.body.metadata.managedFields"),
    "nobody-grants-more-than-they-have": known(_ESCALATION, "3.*", "5.*", "4.body.metadata.*"),
    "new-daemon-set": known(
        _DAEMON_SET, "1.body.metadata.annotations", "1.body.metadata.managedFields.0.fieldsV1.f:metadata"
    ),
    "hyperconverged-in-both-versions": known(_INSTALLED, "*.body.metadata.generation"),
    "configmaps-as-yaml": known(_YAML, "1.body", "1.type"),
    "nads-as-yaml": known(_YAML, "1.body", "1.type"),
    "configmaps-as-xml": known(_NOT_ACCEPTABLE, "1.body.message", "1.body.details"),
    "discovery-api-v1": known(_NOT_SERVED, *(
        f"1.resources.{name}"
        for name in (
            "namespaces/finalize", "nodes/proxy", "pods/attach", "pods/ephemeralcontainers", "pods/exec",
            "pods/portforward", "pods/proxy", "pods/resize", "services/proxy",
        )
    )),
}  # fmt: skip
