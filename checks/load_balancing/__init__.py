"""Do Services spread what they get, and do load balancers get addresses?

One module per question; this one names the checks, in the order in which their findings are best fixed.
"""
# ruff: noqa: I001  the order of these imports is the order of the checks

from .spread import service_spread
from .addresses import address_granted, external_addresses

__all__ = ["address_granted", "external_addresses", "service_spread"]
