"""What scheduler checks make of texts that others write."""

from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

normalized = import_module("auditor.checks.scheduler.pending").normalized
repository = import_module("auditor.checks.scheduler._deployments").repository


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("", ""),
        ("0/3 nodes are available: 3 Insufficient cpu.", "Insufficient cpu"),
        (
            "0/9 nodes are available: 3 Insufficient cpu, 6 node(s) had untolerated taint {a: b}. "
            "preemption: 0/9 nodes are available: 9 Preemption is not helpful for scheduling.",
            "Insufficient cpu; node(s) had untolerated taint (a: b)",
        ),
        (
            "0/5 nodes are available: 4 node(s) didn't match Pod's node affinity/selector, 1 Too many pods.",
            "Too many pods; node(s) didn't match Pod's node affinity/selector",
        ),
        (
            '0/3 nodes are available: persistentvolumeclaim "data-kafka-0" not found.',
            "persistentvolumeclaim … not found",
        ),
        (
            'running PreBind plugin "VolumeBinding": binding volumes: timed out',
            "running PreBind plugin …: binding volumes: timed out",
        ),
        ("pod group is not ready, 3 Pending, 3 minAvailable", "pod group is not ready, N Pending, N minAvailable"),
    ],
)
def test_messages_lose_what_differs_from_pod_to_pod(message: str, reason: str) -> None:
    assert normalized(message) == reason


@given(st.text(max_size=200))
def test_any_message_can_be_shown(message: str) -> None:
    reason = normalized(message)

    assert not set("{}\n") & set(reason)
    assert normalized(reason) == normalized(normalized(reason))


@given(st.lists(st.integers(1, 5000), min_size=2, max_size=2))
def test_counts_of_nodes_do_not_matter(counts: list[int]) -> None:
    first, second = (
        normalized(f"0/{count} nodes are available: {count} Insufficient memory, 1 Too many pods.") for count in counts
    )

    assert first == second


@pytest.mark.parametrize(
    ("image", "path"),
    [
        ("vc-scheduler", "vc-scheduler"),
        ("volcanosh/vc-scheduler:v1.12.1", "volcanosh/vc-scheduler"),
        ("registry:5000/kueue/kueue", "registry:5000/kueue/kueue"),
        ("registry:5000/kueue/kueue:v0.15.0@sha256:abc", "registry:5000/kueue/kueue"),
        ("", ""),
    ],
)
def test_the_repository_of_an_image(image: str, path: str) -> None:
    assert repository(image) == path
