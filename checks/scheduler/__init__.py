"""Are pods placed as data systems need it: together, apart, in order, at all?

One module per question; this one names the checks, in the order in which their findings are best fixed.
"""
# ruff: noqa: I001  the order of these imports is the order of the checks

from .pending import unschedulable_pods
from .topology import zone_labels
from .gang import gang_scheduling
from .priorities import priority_classes
from .profiles import profile_plugins
from .yunikorn import yunikorn_scope
from .kueue import kueue_queues
from .autoscaler import node_autoscaler
from .limits import default_cpu_limit
from .observed_startup import pod_startup
from .observed_spread import spread_observed
from .observed_preemption import preemption
from .observed_gangs import gangs_observed

__all__ = [
    "default_cpu_limit",
    "gang_scheduling",
    "gangs_observed",
    "kueue_queues",
    "node_autoscaler",
    "pod_startup",
    "preemption",
    "priority_classes",
    "profile_plugins",
    "spread_observed",
    "unschedulable_pods",
    "yunikorn_scope",
    "zone_labels",
]
