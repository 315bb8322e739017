"""Control plane: does it answer, survive a loss, and keep up?

One module per question; this one names the checks, in the order in which their findings are best fixed.
"""
# ruff: noqa: I001  the order of these imports is the order of the checks

from .readiness import api_ready
from .members import etcd_count
from .servers import api_servers
from .placement import failure_domains
from .leaders import leader_leases
from .database import etcd_size
from .latency import etcd_latency
from .flow import rejected_requests
from .objects import object_counts
from .clocks import clock_skew
from .observed_api import api_latency, lease_renewal

__all__ = [
    "api_latency",
    "api_ready",
    "api_servers",
    "clock_skew",
    "etcd_count",
    "etcd_latency",
    "etcd_size",
    "failure_domains",
    "leader_leases",
    "lease_renewal",
    "object_counts",
    "rejected_requests",
]
