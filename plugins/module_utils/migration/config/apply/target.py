# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The HyperConverged of a cluster, in the API version to use: found, read, and changed by merge patches."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional

from ....cluster.gateway import Gateway, Object
from ....cluster.resources import HYPERCONVERGED_GROUP, HYPERCONVERGEDS, ResourceType, hyperconvergeds
from ....errors import ApiError, Conflict, InvalidInput, NotFound, Unreachable
from ... import hyperconverged as hco

_ATTEMPTS = 25
_PAUSE_SECONDS = 0.2
_INSTALL_HINT = "Is OpenShift Virtualization (KubeVirt HyperConverged) installed in this cluster?"


@dataclass(frozen=True)
class Target:
    """Where the HyperConverged is, and how its API version is laid out."""

    gateway: Gateway
    resource: ResourceType
    namespace: str
    layout: hco.Layout

    @property
    def location(self) -> str:
        """Namespace, name and API version, for people."""
        return f"HyperConverged {self.namespace}/{hco.NAME} ({self.resource.api_version})"

    def read(self) -> Object:
        """Return the object as it is now. Raises NotFound."""
        return self.gateway.get(self.resource, hco.NAME, self.namespace)

    def config(self, hyperconverged: Mapping[str, Any]) -> dict[str, Any]:
        """Return its live-migration settings by API field, without those that are not set."""
        stated = hco.read_path(hyperconverged, self.layout.live_migration)
        return {name: value for name, value in stated.items() if value is not None}


@dataclass(frozen=True)
class Written:
    """A HyperConverged before and after a change; in check mode C(after) is what the server says it would be."""

    before: Object
    after: Object
    changed: bool


def find_target(gateway: Gateway, namespace: Optional[str] = None) -> Target:
    """Return the HyperConverged of the cluster, or of a namespace.

    Raises NotFound when there is none, InvalidInput when the API serves no version that is known.
    """
    served = gateway.served_versions(HYPERCONVERGED_GROUP)
    if not served:
        raise NotFound(f"The cluster serves no {HYPERCONVERGEDS.full_name}.", status=404, hint=_INSTALL_HINT)
    version = hco.preferred_version(served)
    if version is None:
        raise InvalidInput(
            f"API version of {HYPERCONVERGEDS.full_name}",
            ", ".join(served),
            f"one of {', '.join(hco.LAYOUTS)} is needed",
        )
    resource, layout = hyperconvergeds(version), hco.LAYOUTS[version]
    if namespace:
        target = Target(gateway, resource, namespace, layout)
        try:
            target.read()
        except NotFound as error:
            raise NotFound(
                f"There is no HyperConverged {hco.NAME} in namespace {namespace}.",
                status=404,
                request=error.request,
                hint="Leave namespace out to have it found.",
            ) from error
        return target
    found = sorted(item["metadata"]["namespace"] for item in gateway.list(resource).items)
    if not found:
        raise NotFound("There is no HyperConverged in the cluster.", status=404, hint=_INSTALL_HINT)
    if len(found) > 1:
        raise InvalidInput("namespace", "", f"there are several HyperConvergeds, in {', '.join(found)}; name one")
    return Target(gateway, resource, found[0], layout)


def change(
    target: Target,
    decide: Callable[[Object], Mapping[str, Any]],
    *,
    check_only: bool,
    sleep: Callable[[float], None] = time.sleep,
) -> Written:
    """Change the HyperConverged by what C(decide) makes of it: a merge patch, empty for nothing to do.

    Every attempt reads anew and writes only onto the version it has read; whoever writes in between makes it begin
    again. The server tries each patch out before it is written. Raises Conflict when that never ends, and ApiError.
    """
    doubtful: Optional[Object] = None
    last: Optional[ApiError] = None
    approved: Optional[dict[str, Any]] = None
    for _attempt in range(_ATTEMPTS):
        before = target.read()
        patch = dict(decide(before))
        if not patch:
            first = before if doubtful is None else doubtful
            return Written(first, before, doubtful is not None)
        version = {"resourceVersion": before["metadata"]["resourceVersion"]}
        body = {**patch, "metadata": {**patch.get("metadata", {}), **version}}
        try:
            # a patch that was good a moment ago is not tried again, so that others have less time to come in between
            if check_only or patch != approved:
                tried = _patch(target, body, dry_run=True)
                if _content(tried) == _content(before):
                    return Written(before, before, False)
                if check_only:
                    return Written(before, tried, True)
                approved = patch
            return Written(before, _patch(target, body, dry_run=False), True)
        except Conflict as error:
            last = error
            sleep(_PAUSE_SECONDS)
        except Unreachable as error:
            if error.details.get("outcome") != "unknown":
                raise
            last, doubtful = error, before
    raise Conflict(
        f"{target.location} is being changed by somebody else all the time.",
        status=409,
        hint="Look at metadata.managedFields who that is; then run this again.",
    ) from last


def _patch(target: Target, body: Mapping[str, Any], *, dry_run: bool) -> Object:
    try:
        return target.gateway.merge_patch(target.resource, hco.NAME, body, namespace=target.namespace, dry_run=dry_run)
    except NotFound as error:
        if "admission webhook" not in error.message:
            raise
        raise ApiError(
            error.message,
            status=error.status,
            reason=error.reason,
            request=error.request,
            hint="The operator tries changes out on what it manages, and something of that is missing: look at the "
            "conditions of the HyperConverged.",
        ) from error


def _content(item: Object) -> tuple[Any, Any]:
    """What a change is about; status and versions change by themselves."""
    return item.get("spec"), item["metadata"].get("annotations") or {}
