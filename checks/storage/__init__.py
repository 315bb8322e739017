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
from .observed_mount import claim_burst, volume_deleted, volume_mounts
from .observed_change import changes_in_use, grows_in_use
from .observed_copy import snapshot_restores, volume_moves
from .observed_shared import shared_in_use
from .observed_speed import node_disk_speed, volume_speed

__all__ = [
    "block_storage",
    "capacity_tracking",
    "changes_in_use",
    "claim_burst",
    "default_class",
    "driver_installed",
    "file_system",
    "grows_in_use",
    "node_disk_speed",
    "performance_tier",
    "retain_class",
    "shared_in_use",
    "shared_volumes",
    "snapshot_restores",
    "stuck_volumes",
    "volume_attributes",
    "volume_deleted",
    "volume_expansion",
    "volume_limits",
    "volume_mounts",
    "volume_moves",
    "volume_ownership",
    "volume_snapshots",
    "volume_speed",
    "volumes_reachable",
    "waits_for_consumer",
]
