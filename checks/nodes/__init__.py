"""Are the nodes healthy, large enough, and set up for data systems?

One module per question; this one names the checks, in the order in which their findings are best fixed.
"""
# ruff: noqa: I001  the order of these imports is the order of the checks

from .conditions import healthy_conditions
from .hosts import enough_hosts
from .room import room_for_kafka, room_for_spark, room_for_zeppelin
from .cgroups import cgroup_v2
from .swap import no_swap
from .shutdown import graceful_shutdown
from .ephemeral import ephemeral_storage
from .burstable import burstable_shapes
from .spot import spot_capacity

__all__ = [
    "burstable_shapes",
    "cgroup_v2",
    "enough_hosts",
    "ephemeral_storage",
    "graceful_shutdown",
    "healthy_conditions",
    "no_swap",
    "room_for_kafka",
    "room_for_spark",
    "room_for_zeppelin",
    "spot_capacity",
]
