"""What the measurements of all benchmarks have in common."""

from __future__ import annotations

from auditor.facts.observations.base import Step
from auditor.facts.parts import Document
from auditor.measured import Benchmark


class Measurements(Document, frozen=True, kw_only=True):
    """Base of a benchmark's document, ``measurements/<id>.json``.

    Attributes:
        benchmark: what a result shows of it; charts and tables are made from this, whatever the benchmark.
        steps: what the run went through: deploying, each phase, each fault, removal; with the cause where one failed.
    """

    benchmark: Benchmark
    steps: tuple[Step, ...] = ()

    def step(self, name: str) -> Step | None:
        """The step of that name; None where the run did not come to it."""
        return next((step for step in self.steps if step.name == name), None)
