"""KubeVirt: there is only one (pkg/virt-operator/webhooks/kubevirt-create-admitter.go)."""

from __future__ import annotations

from .types import Lookup, Request, refused

CREATE_WEBHOOK = "kubevirt-create-validator.kubevirt.io"


def validate_create(request: Request, lookup: Lookup) -> list[str]:
    """Refuses a second one in the cluster."""
    if lookup.list("kubevirt.io", "kubevirts"):
        raise refused(CREATE_WEBHOOK, "Kubevirt is already created")
    return []
