"""Can Kafka keep its promises here?

One module per question; this one names the checks, in the order in which their findings are best fixed.
"""
# ruff: noqa: I001  the order of these imports is the order of the checks

from .storage import broker_storage
from .replication import replication_config
from .controllers import kraft_controllers
from .rack import rack_awareness
from .memory import broker_memory
from .listeners import listener_security
from .drains import node_drains
from .operator_memory import operator_memory
from .jbod import jbod_storage

__all__ = [
    "broker_memory",
    "broker_storage",
    "jbod_storage",
    "kraft_controllers",
    "listener_security",
    "node_drains",
    "operator_memory",
    "rack_awareness",
    "replication_config",
]
