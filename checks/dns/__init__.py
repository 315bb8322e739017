"""Do names resolve, quickly and on more than one leg?

One module per question; this one names the checks, in the order in which their findings are best fixed.
"""
# ruff: noqa: I001  the order of these imports is the order of the checks

from .service import service_endpoints
from .restarts import no_restarts
from .corefile import corefile
from .names import headless_names
from .reverse import reverse_zones
from .replicas import replicas
from .spread import spread
from .memory import memory_limit
from .autoscaler import autoscaler
from .negative import negative_cache
from .local import node_local_cache
from .domain import cluster_domain
from .observed_lookups import lookups
from .observed_servers import every_server
from .observed_names import negative_cache_observed, new_names
from .observed_reverse import reverse_names
from .observed_answers import large_answers
from .observed_rate import lookup_rate
from .observed_external import external_names

__all__ = [
    "autoscaler",
    "cluster_domain",
    "corefile",
    "every_server",
    "external_names",
    "headless_names",
    "large_answers",
    "lookup_rate",
    "lookups",
    "memory_limit",
    "negative_cache",
    "negative_cache_observed",
    "new_names",
    "no_restarts",
    "node_local_cache",
    "replicas",
    "reverse_names",
    "reverse_zones",
    "service_endpoints",
    "spread",
]
