"""The API server as a client feels it: small requests one after another, and a lease as leaders hold it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from auditor import Planned, ProbePlan, probe, rights
from auditor.cluster import Manifest, ObjectError
from auditor.facts.observations import Latencies
from auditor.facts.observations.api import ApiObservations, LeaseRenewals
from auditor.sandbox import Sandbox
from auditor.sandbox.kinds import LEASE
from auditor.sandbox.scope import Scope

RENEW_EVERY_SECONDS = 5.0
"""As Flink's and others' leaders do, whose locks expire after 15 s."""

_SECONDS_PER_REQUEST = 0.02


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
    timed = _Timed()
    for number in range(scope.options.api_requests):
        _one_round(sandbox, timed, number)
    lease = _renewals(sandbox, scope.options.lease_seconds)
    return ApiObservations(
        started_at=started_at,
        took_seconds=time.monotonic() - started,
        verbs={verb: Latencies.of(seconds) for verb, seconds in timed.seconds.items()},
        failed=timed.failed,
        lease=lease,
    )


class _Timed:
    """Calls, timed by verb. The first of each kind may be refused for good; later failures are counted."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}
        self.failed: dict[str, int] = {}

    def call(self, verb: str, request: Callable[[], object]) -> None:
        started = time.monotonic()
        try:
            request()
        except ObjectError as error:
            if error.missing_permission or verb not in self.seconds:
                raise
            self.failed[verb] = self.failed.get(verb, 0) + 1
            return
        self.seconds.setdefault(verb, []).append(time.monotonic() - started)


def _one_round(sandbox: Sandbox, timed: _Timed, number: int) -> None:
    manifest = _config_map(sandbox, number)
    name = manifest["metadata"]["name"]
    listing = f"metadata.name={name}"
    timed.call("create", lambda: sandbox.create(manifest))
    timed.call("get", lambda: sandbox.get("ConfigMap", name))
    timed.call("list", lambda: sandbox.list("ConfigMap", fields=listing))
    timed.call("patch", lambda: sandbox.patch("ConfigMap", name, {"data": {"round": f"{number}, changed"}}))
    timed.call("delete", lambda: sandbox.delete("ConfigMap", name))
    sandbox.check()


def _renewals(sandbox: Sandbox, seconds: float) -> LeaseRenewals:
    manifest = _lease(sandbox)
    sandbox.create(manifest, api=LEASE)
    name = manifest["metadata"]["name"]
    started = last_success = time.monotonic()
    latencies: list[float] = []
    failed, longest_gap = 0, 0.0
    for number in range(max(1, round(seconds / RENEW_EVERY_SECONDS))):
        sandbox.pause(max(0.0, started + (number + 1) * RENEW_EVERY_SECONDS - time.monotonic()))
        begun = time.monotonic()
        try:
            sandbox.patch("Lease", name, {"spec": {"renewTime": _micro_time()}})
        except ObjectError as error:
            if error.missing_permission:
                raise
            failed += 1
            continue
        ended = time.monotonic()
        latencies.append(ended - begun)
        longest_gap, last_success = max(longest_gap, ended - last_success), ended
    longest_gap = max(longest_gap, time.monotonic() - last_success)
    return LeaseRenewals(
        every_seconds=RENEW_EVERY_SECONDS,
        renewals=Latencies.of(latencies or [time.monotonic() - started]),
        failed=failed,
        longest_gap_seconds=longest_gap,
    )


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
