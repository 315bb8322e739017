"""What benchmarks measure, one typed document per benchmark: the benchmarks write them, checks and results read them.

A document holds measurements and outcomes, never judgements of the cluster: thresholds are parameters of checks.
"""

from auditor.facts.measurements.base import Measurements

__all__ = ["Measurements"]
