"""What admission says of things that are not meant in earnest: new pods and jobs, and evictions."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from auditor.facts.observations.base import Cause, Latencies, Observations, Step


class DryRun(msgspec.Struct, frozen=True, kw_only=True):
    """Creations of one kind with ``dryRun=All``: they pass all of admission, and nothing is stored.

    Attributes:
        group: of its API, empty for the legacy one.
        version: likewise.
        kind: what was to be created.
        asked: requests that were made.
        accepted: latencies of those that were accepted; None where none was.
        refused: why the last one was not, where it was not.
        status: of HTTP with which it was refused; 0 where no answer came.
    """

    group: str
    version: str
    kind: str
    asked: int
    accepted: Latencies | None = None
    refused: Cause | None = None
    status: int = 0


class Eviction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The eviction of one pod, not meant in earnest.

    Attributes:
        namespace: of the pod.
        pod: its name.
        owner_kind: ``StatefulSet``, ``StrimziPodSet``.
        owner: its name.
        owner_pods: how many pods the owner is to have.
        is_accepted: whether it could be evicted now.
        status: of HTTP, where it was refused.
        message: what the API server says then.
        budget: the disruption budget that refuses, where one does.
        needed_pods: that must be healthy by the budget.
        healthy_pods: that were.
    """

    namespace: str
    pod: str
    owner_kind: str
    owner: str
    owner_pods: int
    is_accepted: bool
    status: int = 0
    message: str = ""
    budget: str = ""
    needed_pods: int = 0
    healthy_pods: int = 0


class AdmissionObservations(Observations, frozen=True, kw_only=True):
    """``observations/admission.json``.

    Attributes:
        namespace: in which things were to be created.
        pod: an ordinary pod.
        operators: resources of the operators that are there.
        eviction: whether evictions could be asked for; ``stateful_pods`` of its detail says how many pods there were.
        evictions: of some pods of each StatefulSet, or StrimziPodSet.
    """

    part_id: ClassVar[str] = "observations/admission.json"
    namespace: str
    pod: DryRun
    operators: tuple[DryRun, ...] = ()
    eviction: Step
    evictions: tuple[Eviction, ...] = ()
