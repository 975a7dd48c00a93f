# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pages of exporters, over HTTP."""

from __future__ import annotations

from ansible.module_utils.urls import open_url

_TIMEOUT_SECONDS = 10


def fetch(url: str) -> tuple[str, str]:
    """Return the page at an address and an empty text, or an empty page and why there is none."""
    try:
        with open_url(url, timeout=_TIMEOUT_SECONDS, http_agent="ocpv.scale") as answer:
            return answer.read().decode("utf-8", "replace"), ""
    except (OSError, ValueError) as error:
        return "", str(error)
