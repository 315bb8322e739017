"""Storage: can volumes be made, in the right place, of the right kind, and can they grow?

One module per question; this one names the checks, in the order in which their findings are best fixed.
"""
# ruff: noqa: I001  the order of these imports is the order of the checks

from .default_class import default_class
from .driver import driver_installed
from .binding import waits_for_consumer
from .expansion import volume_expansion
from .block import block_storage

__all__ = ["block_storage", "default_class", "driver_installed", "volume_expansion", "waits_for_consumer"]
