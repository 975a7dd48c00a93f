# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Snapshots as files: the collection's own format (JSON, also gzipped), and any dump that read_dump understands."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any, Mapping, Union

from ..errors import InvalidInput
from .codec import Malformed, decode, encode
from .dump import read_documents, read_dump, snapshot_of_objects
from .memory import collector_paused
from .model import Snapshot

FORMAT = "ocpv.scale/snapshot"
VERSION = 1


def to_document(snapshot: Snapshot) -> dict[str, Any]:
    """Return the document of a snapshot: JSON types only; fields that hold their default are left out."""
    return {"format": FORMAT, "version": VERSION, **encode(snapshot)}


def from_document(document: Any, option: str = "snapshot") -> Snapshot:
    """Return the Snapshot of a document that to_document made.

    Raises InvalidInput, naming C(option) and the place in the document, for another format, a newer version, and fields
    that are unknown, missing or of the wrong type.
    """
    if not isinstance(document, Mapping):
        raise InvalidInput(option, type(document).__name__, "a mapping is needed")
    values = dict(document)
    found, version = values.pop("format", None), values.pop("version", None)
    if found != FORMAT:
        raise InvalidInput(f"{option}: format", found, f"a document of format {FORMAT} is needed")
    if isinstance(version, int) and version > VERSION:
        hint = "It was made by a newer release of ocpv.scale: update this one, or make the snapshot again."
        raise InvalidInput(f"{option}: version", version, f"this release reads versions up to {VERSION}", hint=hint)
    if version != VERSION:
        raise InvalidInput(f"{option}: version", version, f"version {VERSION} is needed; make the snapshot again")
    try:
        snapshot: Snapshot = decode(Snapshot, values)
    except Malformed as error:
        place = f"{option}: {error.place}" if error.place else option
        raise InvalidInput(place, _short(error.value), error.allowed) from error
    return snapshot


@collector_paused()
def read_snapshot(path: Union[str, os.PathLike[str]]) -> Snapshot:
    """Return the Snapshot of a file of the own format (.json, .json.gz), or of a dump: a file or directory that
    C(oc get -o yaml|json) or must-gather wrote.

    Raises InvalidInput naming the path when there is nothing, or nothing that can be understood.
    """
    place = Path(path)
    if place.is_dir():
        return read_dump(place)
    documents = list(read_documents(place))
    if len(documents) == 1 and isinstance(documents[0], Mapping) and "format" in documents[0]:
        return from_document(documents[0], str(place))
    return snapshot_of_objects(documents, place)


def to_bytes(snapshot: Snapshot, path: Union[str, os.PathLike[str]]) -> bytes:
    """Return the content of a snapshot's file; gzipped if the name ends in .gz. Equal snapshots give equal bytes."""
    content = json.dumps(to_document(snapshot), separators=(",", ":"), sort_keys=True).encode()
    return gzip.compress(content, compresslevel=6, mtime=0) if str(path).endswith(".gz") else content


def write_snapshot(snapshot: Snapshot, path: Union[str, os.PathLike[str]]) -> None:
    """Write a snapshot to a file, in one step. Raises OSError."""
    place = Path(path)
    content = to_bytes(snapshot, place)
    unfinished = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(place)
    finally:
        unfinished.unlink(missing_ok=True)


def _short(value: Any) -> Any:
    text = repr(value)
    return value if len(text) <= 200 else text[:200] + " ..."
