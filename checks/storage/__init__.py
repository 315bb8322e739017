"""Storage: can volumes be made, in the right place, of the right kind, and can they grow, change and be kept?

One module per question; this one names the checks, in the order in which their findings are best fixed.
"""
# ruff: noqa: I001  the order of these imports is the order of the checks

from .default_class import default_class
from .driver import driver_installed
from .stuck import stuck_volumes
from .reachable import volumes_reachable
from .binding import waits_for_consumer
from .capacity import capacity_tracking
from .limits import volume_limits
from .expansion import volume_expansion
from .block import block_storage
from .tier import performance_tier
from .file_system import file_system
from .ownership import volume_ownership
from .shared import shared_volumes
from .retain import retain_class
from .modify import volume_attributes
from .snapshots import volume_snapshots

__all__ = [
    "block_storage",
    "capacity_tracking",
    "default_class",
    "driver_installed",
    "file_system",
    "performance_tier",
    "retain_class",
    "shared_volumes",
    "stuck_volumes",
    "volume_attributes",
    "volume_expansion",
    "volume_limits",
    "volume_ownership",
    "volume_snapshots",
    "volumes_reachable",
    "waits_for_consumer",
]
