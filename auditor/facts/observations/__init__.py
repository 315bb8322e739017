"""What probes observe, one typed document per probe: the probes write them, checks read them.

A document holds measurements and outcomes, never judgements: thresholds are parameters of checks.
"""

from auditor.facts.observations.base import Cause, Latencies, Observations, Step, StepState

__all__ = ["Cause", "Latencies", "Observations", "Step", "StepState"]
