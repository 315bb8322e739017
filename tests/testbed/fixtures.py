"""Pytest fixtures over the test bed: `cluster`, `fresh_namespace`, `fault`.

The test bed is started by the first test that asks for it and stopped by the session that started it. With
AUDITOR_TEST_KUBECONFIG the tests use that cluster instead. Where neither is to be had the cluster tests skip with one
loud line; with CI=true that is a failure.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.testbed import bed, packages
from tests.testbed.client import Cluster, wait_for

OWN_CLUSTER = "AUDITOR_TEST_KUBECONFIG"
CLUSTER_FIXTURES = {"cluster", "test_bed"}
NAMESPACE_PREFIX = "test-"
_LIVE_PROBES = {"probes", "sandbox"}
"""Folders whose cluster tests are long and feel each other's load; `make test-probes` runs them."""


@cache
def obstacle() -> str:
    """Why there can be no cluster here; empty if there can."""
    if own := os.environ.get(OWN_CLUSTER):
        return "" if Path(own).exists() else f"{OWN_CLUSTER} names {own}, which does not exist"
    if os.geteuid() != 0:
        return "the test bed needs root"
    if shutil.which("go") is None:
        return "the test bed needs Go to build Kubernetes"
    if missing := packages.missing():
        return f"system packages are missing: {' '.join(missing)}"
    return ""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Mark what needs a cluster, and let what ends the test bed go last.

    The marks must be there before ``-m`` chooses, the order must come after pytest-randomly's.
    """
    for item in items:
        parametrized = getattr(getattr(item, "callspec", None), "params", {})  # may be called "cluster" too
        if CLUSTER_FIXTURES & set(getattr(item, "fixturenames", ())) - parametrized.keys():
            item.add_marker(pytest.mark.cluster)
            if _LIVE_PROBES & set(item.path.parts):
                item.add_marker(pytest.mark.probes)
    yield
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One loud line where cluster tests were skipped."""
    skipped = [r for r in terminalreporter.stats.get("skipped", ()) if "no cluster:" in str(r.longrepr)]
    if skipped:
        terminalreporter.write_line(
            f"{len(skipped)} CLUSTER TESTS WERE SKIPPED: {obstacle()}. Name a cluster in {OWN_CLUSTER}, or run as root "
            "on Debian or Ubuntu with Go.",
            red=True,
            bold=True,
        )


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A real cluster: the test bed, or the one that AUDITOR_TEST_KUBECONFIG names."""
    _or_skip(obstacle())
    own = os.environ.get(OWN_CLUSTER)
    was_up = own is not None or bed.is_up()
    with closing(Cluster(Path(own)) if own else bed.up()) as found:
        yield found
        if was_up:
            await_deleted_namespaces(found)
    if not was_up:
        bed.down()


@pytest.fixture(scope="session")
def test_bed(cluster: Cluster) -> Cluster:
    """The test bed itself, for tests that look at or disturb its nodes."""
    if OWN_CLUSTER in os.environ:
        pytest.skip(f"{OWN_CLUSTER} is set: this test disturbs nodes, which only the test bed allows")
    return cluster


@pytest.fixture
def fresh_namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of the test's own. It is deleted afterwards; only the end of the session waits until it is gone."""
    name = f"{NAMESPACE_PREFIX}{uuid.uuid4().hex[:8]}"
    cluster.core.create_namespace({"metadata": {"name": name}})
    wait_for("the default ServiceAccount", lambda: cluster.core.read_namespaced_service_account("default", name))
    yield name
    cluster.core.delete_namespace(name, grace_period_seconds=0)


def await_deleted_namespaces(cluster: Cluster) -> None:
    """Wait until the namespaces of tests that have ended are gone."""
    wait_for(
        "the tests' namespaces to be gone",
        lambda: not any(n.metadata.name.startswith(NAMESPACE_PREFIX) for n in cluster.core.list_namespace().items),
        timeout_seconds=120,
    )


@pytest.fixture
def fault(test_bed: Cluster) -> Iterator[Callable[[AbstractContextManager[Any]], Any]]:
    """Enter faults, such as ``fault(faults.cordoned(cluster, "n1"))``; all of them are undone after the test."""
    with ExitStack() as stack:
        yield stack.enter_context


def _or_skip(why_not: str) -> None:
    if why_not and os.environ.get("CI") == "true":
        pytest.fail(f"no cluster: {why_not}; with CI=true cluster tests must not skip")
    if why_not:
        pytest.skip(f"no cluster: {why_not}")
