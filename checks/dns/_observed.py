"""What the checks of the dns probe share: its document, from where it saw nothing, and how findings speak of both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from auditor import Facts, Finding, Subject
from auditor.facts.observations import Cause, Step
from auditor.facts.observations.dns import NO_ANSWER, NXDOMAIN, DnsObservations, View

from .._wording import counted, examples, listed

NOT_KNOWN = (NXDOMAIN, NO_ANSWER)
"""DNS answers, and says that there is no such name. Anything else is DNS not answering."""


def observed(facts: Facts) -> DnsObservations:
    """The observations of the dns probe.

    Raises:
        UnreadableError: it was not run.
    """
    return cast("DnsObservations", facts.document(DnsObservations))


def unseen(document: DnsObservations) -> Iterator[Finding]:
    """What every check must say of nodes from which nobody could ask, one finding per reason."""
    by_reason: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for name, cause in sorted(document.failed.items()):
        by_reason[cause.reason][name] = cause.message
    for reason, told in sorted(by_reason.items()):
        first = next(iter(told.values())).rstrip(".")
        yield Finding.unknown(
            f"How names resolve on {on(told)} could not be seen ({reason}): {first}.",
            subjects=subjects(told),
            fix="Remove what kept the probe's pod from running there, and probe again.",
            evidence=examples(told),
        )
    mute = [name for name, view in document.views.items() if not view.conf.nameservers]
    if mute:
        yield Finding.unknown(
            f"Pods on {on(mute)} know no DNS server: their resolv.conf names none.",
            subjects=subjects(mute),
            fix="Set clusterDNS in the configuration of the kubelets there.",
        )
    if not document.views and not document.failed:
        left_out = "; ".join(f"{counted(each.count, 'node')}: {each.reason}" for each in document.left_out)
        yield Finding.unknown(
            f"No node takes the dns probe's pods{f' (left out: {left_out})' if left_out else ''}.",
            fix="Give the probe's pods tolerations for the nodes of data systems, and probe again.",
        )


def asking(document: DnsObservations) -> dict[str, View]:
    """The views from which something was asked, by node."""
    return {name: view for name, view in sorted(document.views.items()) if view.conf.nameservers}


def dead(views: Mapping[str, View]) -> dict[str, str]:
    """The views in which not one look-up was answered, and what was said instead; nothing else was tried there."""
    return {
        name: next(iter(view.lookups.failures), "no answer")
        for name, view in views.items()
        if view.lookups is not None and view.lookups.latencies is None
    }


def not_told(what: str, step: Step | None) -> Finding:
    """The finding for a step that gave no answer: ``What … cannot be told: why``."""
    cause = step.cause if step is not None else None
    if cause is None:
        return Finding.unknown(f"{what} cannot be told: the probe did not try it.", fix="Run the dns probe again.")
    if cause.missing_permission:
        return Finding.unknown(
            f"{what} cannot be told: the account may not {cause.missing_permission}.",
            fix="Grant the account what the probe needs.",
            command="auditor rbac --probes",
        )
    return Finding.unknown(
        f"{what} cannot be told: {said(cause)}.",
        fix="Remove what kept the probe from trying it, and probe again.",
        evidence={"reason": cause.reason, "events": list(cause.events[-5:])},
    )


def no_target(document: DnsObservations, what: str) -> Iterator[Finding]:
    """The findings where no new pod was seen to start, for which names could be asked."""
    views = asking(document)
    target = document.step("target")
    without = [name for name, view in views.items() if not view.announced]
    if not without:
        return
    if target is None or target.cause is not None:
        yield not_told(what, target)
        return
    yield Finding.unknown(
        f"{what} cannot be told on {on(without)}: the datagrams by which the new pod says that it runs did not arrive.",
        subjects=subjects(without),
        fix="See what network.pod-to-pod and network.source-address say; let policies allow UDP within the namespace.",
    )


def silent(errors: dict[str, str], what: str) -> Finding:
    """The finding where DNS did not answer at all."""
    return Finding.unknown(
        f"{what} cannot be told on {on(errors)}: DNS does not answer there ({next(iter(errors.values()))}).",
        subjects=subjects(errors),
        fix="Repair DNS first; the check dns.lookups says more.",
        evidence=examples(errors),
    )


def on(names: Iterable[str]) -> str:
    """``node a``, ``3 nodes (a, b and c)``."""
    known = list(names)
    return f"node {known[0]}" if len(known) == 1 else f"{counted(len(known), 'node')} ({listed(known)})"


def subjects(names: Iterable[str]) -> list[Subject]:
    """The nodes as subjects."""
    return [Subject(kind="Node", name=name) for name in names]


def said(cause: Cause) -> str:
    """The cause in the cluster's words, fit for the middle of a sentence."""
    text = " ".join(cause.message.split()).rstrip(".").replace("{", "(").replace("}", ")")
    return f"{text} ({cause.reason})"


def milliseconds(seconds: float) -> str:
    """``0.4 ms``, ``120 ms``, ``1,500 ms``."""
    value = 1000 * seconds
    return f"{value:.1f} ms" if value < 10 else f"{value:,.0f} ms"
