"""Do StatefulSets keep names, volumes and distance?

One module per question; this one names the checks, in the order in which their findings are best fixed.
"""
# ruff: noqa: I001  the order of these imports is the order of the checks

from .names import headless_service, peer_names
from .claims import claim_retention, claim_size
from .grace import grace_period
from .spread import replicas_apart
from .terminating import stuck_terminating
from .recreate import recreate_strategy
from .ownership import fs_group_change
from .observed_identity import stable_identity
from .observed_names import early_names
from .observed_order import ordered_updates, scaling_claims
from .observed_drains import budgeted_drains

__all__ = [
    "budgeted_drains",
    "claim_retention",
    "claim_size",
    "early_names",
    "fs_group_change",
    "grace_period",
    "headless_service",
    "ordered_updates",
    "peer_names",
    "recreate_strategy",
    "replicas_apart",
    "scaling_claims",
    "stable_identity",
    "stuck_terminating",
]
