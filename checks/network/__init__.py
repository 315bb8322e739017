"""Does the pod network do what data systems need of it?

One module per question; this one names the checks, in the order in which their findings are best fixed.
"""
# ruff: noqa: I001  the order of these imports is the order of the checks

from .reach import pod_to_pod, api_server_reachable
from .source import source_address
from .frames import full_size_frames
from .speed import throughput
from .policies import policy_enforced

__all__ = [
    "api_server_reachable",
    "full_size_frames",
    "pod_to_pod",
    "policy_enforced",
    "source_address",
    "throughput",
]
