# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a team asks of the live-migration settings: values, a profile, fields given back to the operator. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Optional

from ...errors import InvalidInput
from .. import hyperconverged as hco
from . import profiles
from .fields import BY_OPTION, FIELDS, checked

PRESENT = "present"
WINDOW = "window"
RESTORED = "restored"
STATES = (PRESENT, WINDOW, RESTORED)
ALL = "all"
UNSET_CHOICES = [ALL, *BY_OPTION]


@dataclass(frozen=True)
class Wish:
    """Settings by API field; None gives a field back to the operator.

    C(explicit): the fields that options name, as opposed to those that a profile states.
    """

    settings: Mapping[str, Any]
    explicit: frozenset[str] = frozenset()

    def without(self, names: frozenset[str]) -> Wish:
        """Return the wish without some fields."""
        kept = {name: value for name, value in self.settings.items() if name not in names}
        return Wish(kept, self.explicit - names)

    @property
    def network(self) -> Optional[str]:
        """Name of the network that is asked for; None if none is."""
        name: Optional[str] = self.settings.get(hco.NETWORK)
        return name


@dataclass(frozen=True)
class Options:
    """Options that have been checked as far as that is possible without the cluster.

    C(unset) are fields to give back, C(unset_rest) says whether all that have no value are given back, too.
    """

    state: str
    values: Mapping[str, Any]
    unset: frozenset[str]
    unset_rest: bool
    profile: Optional[str]
    release: Optional[profiles.Release]

    def wish(self, installed: Optional[profiles.Release]) -> Wish:
        """Return what is asked for; C(installed) is the operator's release, None if it is not known.

        A value that is given wins over the profile's. Raises InvalidInput, see profiles.profile.
        """
        stated: dict[str, Any] = {}
        if self.profile is not None:
            stated.update(profiles.profile(self.profile, self.release or installed))
        stated.update(dict.fromkeys(self.unset))
        stated.update(self.values)
        if self.unset_rest:
            stated = {**dict.fromkeys(field.name for field in FIELDS), **stated}
        return Wish(stated, frozenset(self.values) | self.unset)


def parse_options(params: Mapping[str, Any]) -> Options:
    """Return the options of a module call, None meaning not given. Raises InvalidInput."""
    values = {
        field.name: checked(field, params[field.option]) for field in FIELDS if params.get(field.option) is not None
    }
    state = params.get("state") or PRESENT
    unset = _unset(params.get("unset") or (), values)
    profile = params.get("profile")
    if state == RESTORED:
        _nothing_else(params)
    elif state == WINDOW and not (values or params.get("unset") or profile):
        raise InvalidInput("state", state, "a window needs the settings that are to hold in it", hint=_WINDOW_HINT)
    rest = ALL in (params.get("unset") or ())
    return Options(state, values, unset, rest, profile, _release(params.get("release"), profile))


_WINDOW_HINT = "Give a profile such as drain_window, or values."


def _unset(named: Any, values: Mapping[str, Any]) -> frozenset[str]:
    """The fields to give back that are named, by API name."""
    allowed = f"one of {', '.join(UNSET_CHOICES)} is needed"
    for option in named:
        if option != ALL and option not in BY_OPTION:
            raise InvalidInput("unset", option, allowed)
    fields = {BY_OPTION[option].name for option in named if option != ALL}
    for field in FIELDS:
        if field.name in fields and field.name in values:
            raise InvalidInput(
                "unset", field.option, "the same setting is given a value", hint="Leave one of the two out."
            )
    return frozenset(fields)


def _nothing_else(params: Mapping[str, Any]) -> None:
    for option in (*BY_OPTION, "profile", "unset", "release"):
        if params.get(option) not in (None, [], ""):
            raise InvalidInput(
                option, params[option], f"state={RESTORED} puts back what was recorded and takes no settings"
            )


def _release(text: Optional[str], profile: Optional[str]) -> Optional[profiles.Release]:
    if not text:
        return None
    release = profiles.release_of(text)
    if release is None:
        raise InvalidInput("release", text, "a release of the HyperConverged operator such as 1.16 is needed")
    if profile != profiles.RELEASE_DEFAULTS:
        raise InvalidInput("release", text, f"it counts only with profile={profiles.RELEASE_DEFAULTS}")
    return release
