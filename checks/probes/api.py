"""The API server as a client feels it: small requests one after another, and a lease as leaders hold it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TypeVar

import msgspec

from auditor import Planned, ProbePlan, probe, rights
from auditor.cluster import ApiServer, Manifest, ObjectError, Objects, RequestError
from auditor.cluster.pace import Deadline
from auditor.facts.observations import Cause, Latencies
from auditor.facts.observations.api import ApiObservations, Failures, LeaseRenewals
from auditor.sandbox import Sandbox
from auditor.sandbox.causes import cause_of
from auditor.sandbox.kinds import KINDS, LEASE
from auditor.sandbox.scope import Scope

T = TypeVar("T")

RENEW_EVERY_SECONDS = 5.0
"""Flink's retry period; its leaders lose their lock when they could not renew it for 15 s."""

ENOUGH_FAILURES = 5
"""After so many failures of a verb in a row, without a success, it is not tried any more."""

VERSION_REQUESTS = 20
_WAY_SECONDS = 10.0
"""After that no further one of these is made."""

_REQUEST_SECONDS = 40.0
"""For each request: longer than the slowest list that Kubernetes' objectives allow."""
_RENEWAL_SECONDS = 10.0
"""For each renewal: after that client-go's leaders give up."""
_SECONDS_PER_REQUEST = 0.02
_LONGEST_PATIENCE_SECONDS = 30.0
"""For which the probe waits at most where the API server asks for patience."""
_MEASURING_SECONDS = 60.0
"""After that no further round is begun: a slow server has shown itself by then."""


def plan(sandbox: Sandbox, scope: Scope) -> ProbePlan:
    """One ConfigMap at a time, and one lease."""
    return ProbePlan(
        objects=(
            Planned(manifest=_config_map(sandbox, 0), count=scope.options.api_requests),
            Planned(manifest=_lease(sandbox)),
        ),
        seconds=scope.options.lease_seconds + 5 * scope.options.api_requests * _SECONDS_PER_REQUEST,
    )


@probe(
    "api",
    title="How fast the API server answers, and how regularly a lease can be renewed",
    yields=ApiObservations,
    needs=(
        *rights("create get list patch delete", "configmaps"),
        *rights("create patch", "leases", group="coordination.k8s.io"),
    ),
    plan=plan,
)
def api(sandbox: Sandbox, scope: Scope) -> ApiObservations:
    """Time the verbs on ConfigMaps of a few bytes, then renew a lease every 5 s."""
    started_at, started = datetime.now(UTC), time.monotonic()
    server = _once(sandbox.objects.server)
    way = _way(sandbox, server)
    timed = _Timed(sandbox)
    rounds = _Rounds(sandbox, Objects(server, deadline_seconds=_REQUEST_SECONDS), timed)
    for number in range(scope.options.api_requests):
        if not rounds.one(number) or time.monotonic() - started > _MEASURING_SECONDS:
            break
    lease, no_lease = _renewals(sandbox, Objects(server, deadline_seconds=_RENEWAL_SECONDS), scope)
    return ApiObservations(
        started_at=started_at,
        took_seconds=time.monotonic() - started,
        way=way,
        verbs={verb: Latencies.of(seconds) for verb, seconds in timed.seconds.items()},
        failed=timed.failed,
        lease=lease,
        no_lease=no_lease,
    )


class _Once(ApiServer):
    """An API server that is asked once: what is measured is one request, and not how often it is made."""

    def insist(self, attempt: Callable[[], T], deadline: Deadline) -> T:  # noqa: ARG002  the base class's signature
        """Try once.

        Raises:
            RequestError: it did not work.
        """
        return attempt()


def _once(server: ApiServer) -> _Once:
    """The same server, as the probe asks it: at no pace of its own; it shares the connections."""
    limits = replace(server.limits, requests_per_second=1000, request_timeout_seconds=_REQUEST_SECONDS)
    return _Once(server.connection, limits)


class _Timed:
    """Calls, timed by verb; those that do not work are counted.

    Args:
        sandbox: whose run may be ended meanwhile.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self.seconds: dict[str, list[float]] = {}
        self.failed: dict[str, Failures] = {}
        self._sandbox = sandbox

    def call(self, verb: str, request: Callable[[], object]) -> bool:
        """Make a request; whether it worked.

        Raises:
            ObjectError: the account may not.
            StoppedError: the run is being ended.
        """
        self._sandbox.check()
        started = time.monotonic()
        try:
            request()
        except ObjectError as error:
            if error.missing_permission:
                raise
            self.failed[verb] = _counted(self.failed.get(verb, Failures()), error)
            self._sandbox.pause(min(error.retry_after_seconds, _LONGEST_PATIENCE_SECONDS))
            return False
        self.seconds.setdefault(verb, []).append(time.monotonic() - started)
        return True

    def is_hopeless(self, verb: str) -> bool:
        """Whether a verb has never worked, and was tried often enough."""
        return verb not in self.seconds and self.failed.get(verb, Failures()).count >= ENOUGH_FAILURES


class _Rounds:
    """Rounds of one ConfigMap each: made, read, listed, changed, removed.

    Args:
        sandbox: where it lives.
        objects: asked once for each thing.
        timed: where the times go.
    """

    def __init__(self, sandbox: Sandbox, objects: Objects, timed: _Timed) -> None:
        self._sandbox = sandbox
        self._objects = objects
        self._timed = timed
        self._api = KINDS["ConfigMap"]

    def one(self, number: int) -> bool:
        """One round, of the verbs that are not hopeless; whether another one makes sense."""
        manifest = self._sandbox.stamped(_config_map(self._sandbox, number))
        name, space = manifest["metadata"]["name"], manifest["metadata"]["namespace"]
        created = self._timed.call("create", lambda: self._objects.create(self._api, manifest))
        change = {"data": {"round": f"{number}, changed"}}
        selector = f"metadata.name={name}"
        if created:
            self._unless_hopeless("get", lambda: self._objects.get(self._api, name, namespace=space))
        self._unless_hopeless("list", lambda: self._objects.list(self._api, namespace=space, fields=selector))
        if created:
            self._unless_hopeless("patch", lambda: self._objects.patch(self._api, name, change, namespace=space))
            self._unless_hopeless("delete", lambda: self._objects.delete(self._api, name, namespace=space))
        return not self._timed.is_hopeless("create")

    def _unless_hopeless(self, verb: str, request: Callable[[], object]) -> None:
        if not self._timed.is_hopeless(verb):
            self._timed.call(verb, request)


def _counted(before: Failures, error: ObjectError) -> Failures:
    """One failure more, of its kind."""
    kind = _kind(error)
    return msgspec.structs.replace(before, **{kind: getattr(before, kind) + 1}, last=cause_of(error))


def _kind(error: RequestError) -> str:
    if error.status == HTTPStatus.TOO_MANY_REQUESTS:
        return "throttled"
    is_answer = error.status is not None and error.status < HTTPStatus.INTERNAL_SERVER_ERROR
    return "refused" if is_answer else "unanswered"


def _way(sandbox: Sandbox, server: ApiServer) -> Latencies | None:
    """How long an answer takes that costs the server nothing; the first, which opens the connection, does not count."""
    seconds: list[float] = []
    for number in range(VERSION_REQUESTS + 1):
        sandbox.check()
        started = time.monotonic()
        try:
            server.text("/version", deadline=Deadline(_RENEWAL_SECONDS))
        except RequestError:
            return Latencies.of(seconds) if seconds else None
        if number:
            seconds.append(time.monotonic() - started)
        if sum(seconds) > _WAY_SECONDS:
            break
    return Latencies.of(seconds)


def _renewals(sandbox: Sandbox, objects: Objects, scope: Scope) -> tuple[LeaseRenewals | None, Cause | None]:
    """The life of a lease, or why it could not begin."""
    manifest = _lease(sandbox)
    try:
        sandbox.create(manifest, api=LEASE)
    except ObjectError as error:
        if error.missing_permission:
            raise
        return None, cause_of(error)
    timed = _Timed(sandbox)
    name = manifest["metadata"]["name"]
    started = last_success = time.monotonic()
    longest_gap = 0.0
    for number in range(max(1, round(scope.options.lease_seconds / RENEW_EVERY_SECONDS))):
        sandbox.pause(max(0.0, started + (number + 1) * RENEW_EVERY_SECONDS - time.monotonic()))
        if timed.call("renew", lambda: _renew(objects, name, sandbox.namespace)):
            now = time.monotonic()
            longest_gap, last_success = max(longest_gap, now - last_success), now
    ended = time.monotonic()
    seconds = timed.seconds.get("renew")
    return LeaseRenewals(
        every_seconds=RENEW_EVERY_SECONDS,
        for_seconds=ended - started,
        renewals=Latencies.of(seconds) if seconds else None,
        failed=timed.failed.get("renew", Failures()),
        longest_gap_seconds=max(longest_gap, ended - last_success),
    ), None


def _renew(objects: Objects, name: str, namespace: str) -> None:
    objects.patch(LEASE, name, {"spec": {"renewTime": _micro_time()}}, namespace=namespace)


def _config_map(sandbox: Sandbox, number: int) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": sandbox.name(f"api-{number}")},
        "data": {"round": str(number)},
    }


def _lease(sandbox: Sandbox) -> Manifest:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": sandbox.name("api-lease")},
        "spec": {"holderIdentity": "auditor", "leaseDurationSeconds": 15},
    }


def _micro_time() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
