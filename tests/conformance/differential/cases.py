"""All cases."""

from __future__ import annotations

from . import access, applying, deleting, forms, kinds, lists, malformed, versions, virtualization, writes
from .case import Case

CASES: list[Case] = [
    *writes.CASES,
    *versions.CASES,
    *applying.CASES,
    *deleting.CASES,
    *lists.CASES,
    *access.CASES,
    *kinds.CASES,
    *virtualization.CASES,
    *malformed.CASES,
    *forms.CASES,
]
