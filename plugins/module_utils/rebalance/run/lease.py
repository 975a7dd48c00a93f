# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Lease that keeps two runs apart (coordination.k8s.io/v1).

The rules are those of client-go's leader election: nobody's clock is compared with anybody else's. A holder renews; who
wants a held Lease must see it unchanged for its whole duration, by a clock of its own, before taking it over; a holder
stops writing as soon as it cannot be sure any more that nobody did.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any, Callable, Mapping, Optional

from ... import names
from ...cluster.gateway import Gateway, Object
from ...cluster.resources import LEASES
from ...errors import ApiError, Conflict, Forbidden, InvalidInput, NotFound, OcpvError

_RBAC_HINT = (
    "The Lease that keeps runs apart lies there. Apply docs/rbac/rebalance.yaml, or name another namespace in "
    "state_namespace; all runs of a cluster must use the same one."
)


# so often a server error or a lost answer is borne while taking the Lease
_MOST_DOUBTS = 10


class LeaseTaken(OcpvError):
    """Another run holds the Lease."""


class LeaseUncertain(OcpvError):
    """The Lease could not be renewed in time; until it is, nothing may be written."""


class Lease:
    """One holder's view of the Lease. acquire(), then a thread renews it until release().

    C(identity) begins with the run's id and a slash, so that a later process of the same run is known as such.
    """

    def __init__(
        self,
        gateway: Gateway,
        namespace: str,
        identity: str,
        duration_seconds: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        self._gateway = gateway.with_retry_seconds(max(1.0, duration_seconds / 6))
        self._namespace = namespace
        self._identity = identity
        self._duration = duration_seconds
        self._clock = clock
        self._sleep = sleep
        self._now = now
        self._version = ""
        self._acquired = ""
        self._transitions = 0
        self._sure_until = 0.0
        self._taken: Optional[LeaseTaken] = None
        self._doubts = 0
        self._stop = threading.Event()
        self._thread: Optional[threading.Thread] = None

    def acquire(self, wait_seconds: float, tell: Callable[[str], None] = lambda text: None) -> None:
        """Take the Lease, or wait for it.

        A Lease left by a process of the same run, or one that was not renewed for its duration, is waited for and
        taken over; for another run that is alive this waits C(wait_seconds) and then raises LeaseTaken naming it.
        """
        started = self._clock()
        seen: Any = None
        seen_at = started
        while True:
            lease = self._read()
            spec = (lease or {}).get("spec") or {}
            holder = spec.get("holderIdentity") or ""
            if not holder or holder == self._identity:
                if self._take(lease):
                    return
                continue
            mark = (holder, spec.get("renewTime"), lease["metadata"]["resourceVersion"] if lease else "")
            now = self._clock()
            alive = seen is not None and mark != seen
            if mark != seen:
                seen, seen_at = mark, now
            duration = float(spec.get("leaseDurationSeconds") or self._duration)
            if now - seen_at > duration:
                if self._take(lease):
                    return
                continue
            # a dead holder needs one duration to be known as dead; that is always waited for
            hopeful = not alive and (self._same_run(holder) or self._looks_dead(spec, duration))
            if not hopeful and now - started >= wait_seconds:
                raise self._held_by(holder, spec)
            if now - started < 0.5:
                tell(f"waiting for the Lease {self._namespace}/{names.LEASE}, held by {holder}")
            self._sleep(min(1.0, duration / 5))

    def start(self) -> None:
        """Renew from now on, in a thread of its own."""
        self._thread = threading.Thread(target=self._renew_until_stopped, name="lease", daemon=True)
        self._thread.start()

    def release(self) -> None:
        """End renewing and give the Lease back, if it is still ours. Never raises."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=self._duration)
        if self._taken is not None or not self._version:
            return
        with suppress(OcpvError):  # it expires by itself
            self._write({"holderIdentity": "", "renewTime": self._time()})

    def clear(self) -> None:
        """Give back what a process of the same run holds that was killed when everything was done.

        Waits as acquire() does until that process is known to be dead. Never raises: nothing depends on it.
        """
        with suppress(OcpvError):
            holder = ((self._read() or {}).get("spec") or {}).get("holderIdentity") or ""
            if holder and self._same_run(holder):
                self.acquire(0)
                self.release()

    @property
    def held(self) -> bool:
        """Whether nobody else can have taken the Lease yet."""
        return self._taken is None and self._clock() < self._sure_until

    def assert_held(self) -> None:
        """Raise LeaseTaken if the Lease is lost, LeaseUncertain if it may be."""
        if self._taken is not None:
            raise self._taken
        if not self.held:
            raise LeaseUncertain(
                f"The Lease {self._namespace}/{names.LEASE} could not be renewed for {self._duration} s.",
                hint="Nothing is written until it is renewed. Check the connection to the API server.",
            )

    def renew(self) -> None:
        """Renew once. Raises LeaseTaken when somebody else has it, ApiError when it did not work out."""
        before = self._clock()
        try:
            self._write({"renewTime": self._time()})
        except (Conflict, NotFound):
            lease = self._read()
            spec = (lease or {}).get("spec") or {}
            holder = spec.get("holderIdentity") or ""
            if lease is None or holder != self._identity:
                self._taken = self._held_by(holder or "nobody", spec)
                raise self._taken from None
            self._version = lease["metadata"]["resourceVersion"]
            self._write({"renewTime": self._time()})
        self._sure(before)

    def _renew_until_stopped(self) -> None:
        pause = self._duration / 3
        while not self._stop.wait(pause):
            pause = self._duration / 3
            try:
                self.renew()
            except LeaseTaken:
                return
            except ApiError:
                pause = min(1.0, self._duration / 6)

    def _same_run(self, holder: str) -> bool:
        return holder.split("/", 1)[0] == self._identity.split("/", 1)[0]

    def _looks_dead(self, spec: Mapping[str, Any], duration: float) -> bool:
        """A guess by the clock of this machine, which only decides whether waiting is worth while."""
        try:
            renewed = datetime.fromisoformat(str(spec.get("renewTime")).replace("Z", "+00:00"))
            return (self._now() - renewed).total_seconds() > duration
        except (TypeError, ValueError):
            return True

    def _read(self) -> Optional[Object]:
        try:
            return self._gateway.get(LEASES, names.LEASE, self._namespace)
        except NotFound:
            return None
        except Forbidden as error:
            raise self._not_allowed(error) from error

    def _take(self, lease: Optional[Object]) -> bool:
        """Write ourselves into the Lease as it was read; False if somebody was quicker."""
        before = self._clock()
        former = (lease or {}).get("spec") or {}
        self._acquired = self._time()
        self._transitions = int(former.get("leaseTransitions") or 0) + 1
        try:
            if lease is None:
                body = {
                    "apiVersion": LEASES.api_version,
                    "kind": LEASES.kind,
                    "metadata": {"name": names.LEASE, "namespace": self._namespace},
                    "spec": self._spec(),
                }
                self._version = self._created(body)
            else:
                self._version = lease["metadata"]["resourceVersion"]
                self._write({**self._spec(), "renewTime": self._acquired})
        except Conflict:
            self._version = ""
            return False
        except Forbidden as error:
            raise self._not_allowed(error) from error
        except ApiError as error:
            if error.details.get("outcome") != "unknown" and error.status < 500:
                raise
            self._doubts += 1
            if self._doubts > _MOST_DOUBTS:
                raise
            self._sleep(1.0)  # whether it is ours is read next
            return False
        self._sure(before)
        return True

    def _created(self, body: Object) -> str:
        try:
            return str(self._gateway.create(LEASES, body, namespace=self._namespace)["metadata"]["resourceVersion"])
        except NotFound as error:
            raise InvalidInput(
                "state_namespace", self._namespace, "a namespace that exists is needed", hint=_RBAC_HINT
            ) from error

    def _spec(self) -> dict[str, Any]:
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": self._duration,
            "acquireTime": self._acquired,
            "renewTime": self._acquired,
            "leaseTransitions": self._transitions,
        }

    def _write(self, spec: Mapping[str, Any]) -> None:
        patch = {"metadata": {"resourceVersion": self._version}, "spec": spec}
        written = self._gateway.merge_patch(LEASES, names.LEASE, patch, namespace=self._namespace)
        self._version = written["metadata"]["resourceVersion"]

    def _sure(self, before: float) -> None:
        # a fifth of the duration is left for a write that is under way when the time is up
        self._sure_until = before + self._duration * 0.8

    def _time(self) -> str:
        return self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def _held_by(self, holder: str, spec: Mapping[str, Any]) -> LeaseTaken:
        run = holder.split("/", 1)[0]
        return LeaseTaken(
            f"Another rebalance holds the Lease {self._namespace}/{names.LEASE}: run {run} ({holder}), "
            f"last renewed {spec.get('renewTime') or 'never'}.",
            hint="One run at a time works on a cluster. Wait for it to end (wait_for_lease_seconds does so), or ask it "
            f"to pause: oc annotate -n {self._namespace} configmap {names.state_name(run)} {names.REQUEST}=pause",
            details={"holder": holder, "run": run},
        )

    def _not_allowed(self, error: ApiError) -> OcpvError:
        return Forbidden(
            f"state_namespace {self._namespace}: {error.message}",
            status=error.status,
            request=error.request,
            hint=_RBAC_HINT,
            details=error.details,
        )
