"""The namespace that probes and benchmarks live in: labels, limits, waiting with reasons, guaranteed clean-up."""

from auditor.sandbox.settings import Images, SandboxSettings
from auditor.sandbox.space import Sandbox
from auditor.sandbox.trouble import Trouble, TroubleError

__all__ = ["Images", "Sandbox", "SandboxSettings", "Trouble", "TroubleError"]
