"""Rules for ``metadata`` that hold for every kind.

Source: apimachinery ``pkg/api/validation/objectmeta.go`` and ``pkg/util/validation/validation.go``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from .errors import FORBIDDEN, INVALID, REQUIRED, TOO_LONG, FieldError, go_quote
from .resource import Resource
from .rules import is_subdomain

_LABEL_PART = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN_PATTERN = rf"{_LABEL_PART}(\.{_LABEL_PART})*"
_NAME_PART = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"

_SUBDOMAIN_TEXT: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    f"'{_SUBDOMAIN_PATTERN}')"
)
_LABEL_TEXT: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    f"an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL_PART}')"
)
_NAME_PART_TEXT: Final = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    f"character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_NAME_PART}')"
)
_LABEL_VALUE_TEXT: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    f"'({_NAME_PART})?')"
)
_QUALIFIED_TEXT: Final = (
    "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    f"'{_NAME_PART}') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
)

_LABEL_RE = re.compile(rf"{_LABEL_PART}\Z")
_NAME_PART_RE = re.compile(rf"{_NAME_PART}\Z")
_ANNOTATIONS_MAX_BYTES: Final = 256 * 1024
_STANDARD_FINALIZERS: Final = frozenset({"kubernetes", "orphan", "foregroundDeletion"})
_IMMUTABLE: Final = ("name", "namespace", "uid", "deletionTimestamp", "deletionGracePeriodSeconds")


def subdomain_problems(name: str) -> list[str]:
    """What is wrong with an RFC 1123 subdomain."""
    problems = [] if len(name) <= 253 else ["must be no more than 253 characters"]
    return problems if is_subdomain(name[:253]) else [*problems, _SUBDOMAIN_TEXT]


def label_problems(name: str) -> list[str]:
    """What is wrong with an RFC 1123 label."""
    if "." in name:
        return ["must not contain dots"]
    problems = [] if len(name) <= 63 else ["must be no more than 63 bytes"]
    return problems if _LABEL_RE.match(name) else [*problems, _LABEL_TEXT]


def _path_segment_problems(name: str) -> list[str]:
    if name in (".", ".."):
        return [f"may not be '{name}'"]
    return [f"may not contain '{char}'" for char in "/%" if char in name]


_NAME_RULES: Final[dict[str, Callable[[str], list[str]]]] = {
    "Namespace": label_problems,
    "Service": label_problems,
    **dict.fromkeys(("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"), _path_segment_problems),
}


def qualified_name_problems(key: str) -> list[str]:
    """What is wrong with a label or annotation key."""
    parts = key.split("/")
    if len(parts) > 2:
        return [_QUALIFIED_TEXT]
    problems = []
    if len(parts) == 2:
        if not parts[0]:
            problems.append("prefix part must be non-empty")
        else:
            problems += [f"prefix part {text}" for text in subdomain_problems(parts[0])]
    name = parts[-1]
    if not name:
        problems.append("name part must be non-empty")
    elif len(name) > 63:
        problems.append("name part must be no more than 63 bytes")
    return problems if _NAME_PART_RE.match(name) else [*problems, _NAME_PART_TEXT]


def label_value_problems(value: str) -> list[str]:
    """What is wrong with a label's value."""
    problems = [] if len(value) <= 63 else ["must be no more than 63 bytes"]
    return problems if not value or _NAME_PART_RE.match(value) else [*problems, _LABEL_VALUE_TEXT]


def _valid_labels(labels: dict[str, str], path: str) -> list[FieldError]:
    errors = []
    for key, value in labels.items():
        errors += [FieldError(path, INVALID, key, text) for text in qualified_name_problems(key)]
        errors += [FieldError(path, INVALID, value, text) for text in label_value_problems(value)]
    return errors


def _valid_annotations(annotations: dict[str, str]) -> list[FieldError]:
    path = "metadata.annotations"
    errors = [
        FieldError(path, INVALID, key, text) for key in annotations for text in qualified_name_problems(key.lower())
    ]
    size_bytes = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
    if size_bytes > _ANNOTATIONS_MAX_BYTES:
        errors.append(FieldError(path, TOO_LONG, "", f"may not be more than {_ANNOTATIONS_MAX_BYTES} bytes"))
    return errors


def _valid_owners(owners: list[dict[str, Any]]) -> list[FieldError]:
    path = "metadata.ownerReferences"
    errors: list[FieldError] = []
    controllers: list[str] = []
    for owner in owners:
        for field, text in (
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ):
            if not owner.get(field):
                errors.append(FieldError(f"{path}.{field}", INVALID, owner.get(field, ""), text))
        if owner.get("controller"):
            controllers.append(f"{owner.get('kind', '')}/{owner.get('name', '')}")
    if len(controllers) > 1:
        text = (
            'Only one reference can have Controller set to true. Found "true" in references for '
            f"{controllers[0]} and {controllers[1]}"
        )
        errors.append(FieldError(path, INVALID, owners, text))
    return errors


def _common(meta: dict[str, Any], *, builtin: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    if labels := meta.get("labels"):
        errors += _valid_labels(labels, "metadata.labels")
    if annotations := meta.get("annotations"):
        errors += _valid_annotations(annotations)
    if owners := meta.get("ownerReferences"):
        errors += _valid_owners(owners)
    for index, finalizer in enumerate(meta.get("finalizers") or ()):
        path = "metadata.finalizers"
        errors += [FieldError(path, INVALID, finalizer, text) for text in qualified_name_problems(finalizer)]
        if builtin and "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
            text = "name is neither a standard finalizer name nor is it fully qualified"
            errors.append(FieldError(f"{path}[{index}]", INVALID, finalizer, text))
    return errors


def errors_on_create(resource: Resource, meta: dict[str, Any]) -> list[FieldError]:
    """Violations in the metadata of a new object, whose name has already been generated."""
    errors: list[FieldError] = []
    rule = _NAME_RULES.get(resource.kind, subdomain_problems) if resource.builtin else subdomain_problems
    if prefix := meta.get("generateName"):
        masked = f"{prefix[:-1]}a" if prefix.endswith("-") else prefix
        errors += [FieldError("metadata.generateName", INVALID, prefix, text) for text in rule(masked)]
    if name := meta.get("name"):
        errors += [FieldError("metadata.name", INVALID, name, text) for text in rule(name)]
    else:
        errors.append(FieldError("metadata.name", REQUIRED, "", "name or generateName is required"))
    namespace = meta.get("namespace", "")
    if not resource.namespaced and namespace:
        errors.append(FieldError("metadata.namespace", FORBIDDEN, "", "not allowed on this type"))
    elif resource.namespaced and not namespace:
        errors.append(FieldError("metadata.namespace", REQUIRED, ""))
    elif namespace:
        errors += [FieldError("metadata.namespace", INVALID, namespace, text) for text in label_problems(namespace)]
    return errors + _common(meta, builtin=resource.builtin)


def errors_on_update(resource: Resource, meta: dict[str, Any], old: dict[str, Any]) -> list[FieldError]:
    """Violations in changed metadata."""
    if meta == old:
        return []
    errors = [
        FieldError(f"metadata.{key}", INVALID, meta.get(key), "field is immutable")
        for key in _IMMUTABLE
        if meta.get(key) != old.get(key)
    ]
    if old.get("deletionTimestamp"):
        added = [f for f in meta.get("finalizers") or () if f not in (old.get("finalizers") or ())]
        if added:
            listed = ", ".join(go_quote(f) for f in sorted(added))
            text = (
                "no new finalizers can be added if the object is being deleted, "
                f"found new finalizers []string{{{listed}}}"
            )
            errors.append(FieldError("metadata.finalizers", FORBIDDEN, "", text))
    if meta.get("generation", 0) < old.get("generation", 0):
        errors.append(FieldError("metadata.generation", INVALID, meta.get("generation", 0), "must not be decremented"))
    # the API server checks this in general, then again with all that the kind has of its own
    return (errors + _common(meta, builtin=resource.builtin)) * 2


def finalizer_warnings(meta: dict[str, Any], old: dict[str, Any] | None) -> list[str]:
    """Warnings for finalizers that are new on a custom resource and carry no domain and path.

    Source: apiextensions-apiserver ``pkg/registry/customresource/strategy.go``, ``validateKubeFinalizerName``.
    """
    before = (old or {}).get("finalizers") or ()
    return [
        f"metadata.finalizers: {go_quote(name)}: prefer a domain-qualified finalizer name "
        "to avoid accidental conflicts with other finalizer writers"
        for name in sorted(meta.get("finalizers") or ())
        if name not in before and "/" not in name and name not in _STANDARD_FINALIZERS
    ]
