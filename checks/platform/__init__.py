"""Is the platform of a kind and an age that data systems can run on?

One module per question; this one names the checks, in the order in which their findings are best fixed.
"""
# ruff: noqa: I001  the order of these imports is the order of the checks

from .production_distribution import production_distribution
from .api_versions import api_versions
from .api_services import api_services
from .supported_version import supported_version
from .kubelet_skew import kubelet_skew
from .operator_requirements import operator_requirements
from .webhook_endpoints import webhook_endpoints
from .admission_time import admission_time
from .stored_versions import stored_versions
from .operator_kinds import operator_kinds
from .real_nodes import real_nodes
from .system_pool import system_pool
from .default_volumes import default_volumes
from .sandbox import sandbox_clean

__all__ = [
    "admission_time",
    "api_services",
    "api_versions",
    "default_volumes",
    "kubelet_skew",
    "operator_kinds",
    "operator_requirements",
    "production_distribution",
    "real_nodes",
    "sandbox_clean",
    "stored_versions",
    "supported_version",
    "system_pool",
    "webhook_endpoints",
]
