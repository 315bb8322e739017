"""The public API for authors of checks, probes, benchmarks and reports.

Names are imported when they are first used, so that ``auditor --help`` does not pay for them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auditor.facts.parts import Api, Document, Resource, if_served, named, raw
    from auditor.facts.store import Facts
    from auditor.model import Finding, Fix, Reference, Result, Severity, Status, Subject, Workload
    from auditor.units.check import ALL_WORKLOADS, STATEFUL_WORKLOADS, Parameters, check, threshold
    from auditor.units.probe import Planned, ProbePlan, Right, probe, rights
    from auditor.units.report import Medium, report

__version__ = "0.1.0"

_HOMES = {
    "auditor.units.check": ("ALL_WORKLOADS", "STATEFUL_WORKLOADS", "Parameters", "check", "threshold"),
    "auditor.facts.parts": ("Api", "Document", "Resource", "if_served", "named", "raw"),
    "auditor.facts.store": ("Facts",),
    "auditor.model": ("Finding", "Fix", "Reference", "Result", "Severity", "Status", "Subject", "Workload"),
    "auditor.units.probe": ("Planned", "ProbePlan", "Right", "probe", "rights"),
    "auditor.units.report": ("Medium", "report"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "ALL_WORKLOADS",
    "STATEFUL_WORKLOADS",
    "Api",
    "Document",
    "Facts",
    "Finding",
    "Fix",
    "Medium",
    "Parameters",
    "Planned",
    "ProbePlan",
    "Reference",
    "Resource",
    "Result",
    "Right",
    "Severity",
    "Status",
    "Subject",
    "Workload",
    "check",
    "if_served",
    "named",
    "probe",
    "raw",
    "report",
    "rights",
    "threshold",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'auditor' has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value
