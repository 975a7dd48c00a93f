"""Which pods of a DaemonSet come from its present template. Pure."""

from __future__ import annotations

import hashlib
from typing import Any

from .attachments import NETWORKS

_RESTARTED = "kubectl.kubernetes.io/restartedAt"


def template_revision(template: dict[str, Any]) -> str:
    """A short name of what a template makes of a pod: images and the annotations that matter."""
    annotations: dict[str, str] = (template.get("metadata") or {}).get("annotations") or {}
    parts = [annotations.get(NETWORKS, ""), annotations.get(_RESTARTED, "")]
    parts += [each.get("image", "") for each in template["spec"].get("containers") or []]
    return hashlib.md5("\n".join(parts).encode(), usedforsecurity=False).hexdigest()[:10]
