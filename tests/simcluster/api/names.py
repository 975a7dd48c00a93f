"""Names of objects that ask for one with ``generateName``.

Source: k8s.io/apimachinery ``pkg/util/rand/rand.go``, k8s.io/apiserver ``pkg/storage/names/generate.go``.
"""

from __future__ import annotations

import random

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX_LENGTH = 5
_MAX_LENGTH = 63
_random = random.SystemRandom()


def generated(prefix: str) -> str:
    """The prefix (cut where the name would be too long) and five random characters."""
    suffix = "".join(_random.choice(_ALPHABET) for _ in range(_SUFFIX_LENGTH))
    return prefix[: _MAX_LENGTH - _SUFFIX_LENGTH] + suffix
