"""Can Spark run its drivers and executors here?

One module per question; this one names the checks, in the order in which their findings are best fixed.
"""
# ruff: noqa: I001  the order of these imports is the order of the checks

from .rights import driver_rights
from .sizing import operator_sizing
from .names import name_lengths
from .local_dirs import local_dirs
from .starvation import driver_starvation
from .dynamic import dynamic_allocation

__all__ = [
    "driver_rights",
    "driver_starvation",
    "dynamic_allocation",
    "local_dirs",
    "name_lengths",
    "operator_sizing",
]
