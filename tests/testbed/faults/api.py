"""Faults of the API server, all through a proxy of ours: only who uses the proxy's kubeconfig meets them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from tests.testbed.client import Cluster
from tests.testbed.faults.journal import fault
from tests.testbed.proxy import Answer, ApiProxy, Delay, Drop, Rule, Truncate


@fault
def api_throttled(
    cluster: Cluster, resource: str, *, retry_after_seconds: int | None = None, times: int | None = None
) -> Iterator[ApiProxy]:
    """429 for a resource, with Retry-After or without."""
    answer = Answer(status=429, message="too many requests", retry_after_seconds=retry_after_seconds)
    yield from _through(cluster, Rule(do=answer, resource=resource, times=times))


@fault
def api_forbidden(cluster: Cluster, resource: str, *, namespace: str = "") -> Iterator[ApiProxy]:
    """403 for a resource, everywhere or in one namespace."""
    answer = Answer(status=403, message=f"{resource} is forbidden")
    yield from _through(cluster, Rule(do=answer, resource=resource, namespace=namespace))


@fault
def api_failing(
    cluster: Cluster, resource: str = "", *, status: int = 503, seconds: float | None = None
) -> Iterator[ApiProxy]:
    """500 or 503 for a resource, or for everything, for a while that begins with the first such request."""
    yield from _through(cluster, Rule(do=Answer(status=status), resource=resource, seconds=seconds))


@fault
def api_slow(cluster: Cluster, resource: str = "", *, delay_seconds: float = 5.0) -> Iterator[ApiProxy]:
    """Answers about a resource, or all of them, come late."""
    yield from _through(cluster, Rule(do=Delay(delay_seconds), resource=resource))


@fault
def api_connection_dropped(
    cluster: Cluster, resource: str, *, after_bytes: int | None = 100, times: int | None = None
) -> Iterator[ApiProxy]:
    """The connection breaks in the middle of an answer about a resource, or before it."""
    yield from _through(cluster, Rule(do=Drop(after_bytes), resource=resource, times=times))


@fault
def api_json_truncated(
    cluster: Cluster, resource: str, *, keep_share: float = 0.5, times: int | None = None
) -> Iterator[ApiProxy]:
    """Answers about a resource are complete for HTTP, and cut short for JSON."""
    yield from _through(cluster, Rule(do=Truncate(keep_share), resource=resource, times=times))


@fault
def api_continue_expired(cluster: Cluster, resource: str, *, times: int | None = 1) -> Iterator[ApiProxy]:
    """410 for the later pages of a list, as when the list takes longer than etcd keeps its revision."""
    answer = Answer(
        status=410, reason="Expired", message="The provided continue parameter is too old to display a consistent list."
    )
    yield from _through(cluster, Rule(do=answer, resource=resource, verb="list", path="[?&]continue=.", times=times))


@fault
def api_certificate_expired(cluster: Cluster) -> Iterator[ApiProxy]:
    """The certificate of the API server has run out."""
    with ApiProxy(kubeconfig=cluster.kubeconfig, certificate_lifetime=timedelta(minutes=-1)) as proxy:
        yield proxy


def _through(cluster: Cluster, rule: Rule) -> Iterator[ApiProxy]:
    with ApiProxy(kubeconfig=cluster.kubeconfig, rules=[rule]) as proxy:
        yield proxy
