"""The namespace that probes and benchmarks live in: labels, limits, waiting with reasons, guaranteed clean-up.

What talks to a cluster is imported when it is asked for: the configuration needs only the settings, and must not pay
for the client.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from auditor.sandbox.settings import Images, SandboxSettings

if TYPE_CHECKING:
    from auditor.sandbox.space import Sandbox
    from auditor.sandbox.trouble import Trouble, TroubleError

__all__ = ["Images", "Sandbox", "SandboxSettings", "Trouble", "TroubleError"]

_LATER = {
    "Sandbox": "auditor.sandbox.space",
    "Trouble": "auditor.sandbox.trouble",
    "TroubleError": "auditor.sandbox.trouble",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LATER[name]), name)
