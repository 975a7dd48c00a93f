# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The former settings of what is changed, kept in the cluster's own config-key store so that any machine can restore
them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Mapping, Optional

from ..names import DOMAIN
from .model import AUTOSCALE_MODES, Pool

# keys of records: one for each pool by its id, which is never used again, and one for the exporter
POOL_RECORDS = DOMAIN + "pg/"
EXPORTER_RECORD = DOMAIN + "prometheus"


@dataclass(frozen=True)
class PoolSettings:
    """What is set of a pool's placement groups."""

    autoscale_mode: str
    pg_num: int
    pgp_num: int

    def as_dict(self) -> dict[str, Any]:
        """Return the settings by Ceph's names."""
        return {"pg_autoscale_mode": self.autoscale_mode, "pg_num": self.pg_num, "pgp_num": self.pgp_num}


def settings_of(pool: Pool) -> PoolSettings:
    """Return what was last asked for of a pool, whether or not it has come about."""
    return PoolSettings(pool.autoscale_mode, pool.pg_num_target, pool.pgp_num_target)


def pool_key(pool: Pool) -> str:
    return f"{POOL_RECORDS}{pool.id}"


def pool_record(pool: Pool) -> str:
    """Return the record of a pool as it is now."""
    return json.dumps({"pool": pool.name, **settings_of(pool).as_dict()}, sort_keys=True)


def read_pool_records(stored: Mapping[str, str]) -> dict[int, PoolSettings]:
    """Return the records by pool id, from config keys and values. What cannot be read as a record is left out."""
    found = {}
    for key, text in stored.items():
        number = key[len(POOL_RECORDS) :]
        settings = _settings(text) if key.startswith(POOL_RECORDS) and number.isdigit() else None
        if settings:
            found[int(number)] = settings
    return found


def _settings(text: str) -> Optional[PoolSettings]:
    try:
        value = json.loads(text)
        settings = PoolSettings(str(value["pg_autoscale_mode"]), int(value["pg_num"]), int(value["pgp_num"]))
    except (ValueError, KeyError, TypeError):
        return None
    return settings if settings.autoscale_mode in AUTOSCALE_MODES and settings.pg_num > 0 else None
