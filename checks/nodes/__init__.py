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
from .observed_cgroups import cgroup_observed
from .observed_limits import map_areas, open_files
from .observed_memory import huge_page_compaction, shared_memory, swap_observed
from .observed_clocks import clock_offset
from .observed_names import resolv_conf

__all__ = [
    "burstable_shapes",
    "cgroup_observed",
    "cgroup_v2",
    "clock_offset",
    "enough_hosts",
    "ephemeral_storage",
    "graceful_shutdown",
    "healthy_conditions",
    "huge_page_compaction",
    "map_areas",
    "no_swap",
    "open_files",
    "resolv_conf",
    "room_for_kafka",
    "room_for_spark",
    "room_for_zeppelin",
    "shared_memory",
    "spot_capacity",
    "swap_observed",
]
