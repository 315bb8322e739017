"""Do answers arrive whole that are too large for a plain datagram?"""

from __future__ import annotations

from collections.abc import Iterator

from auditor import Facts, Finding, Severity, check
from auditor.facts.observations.dns import Answer, DnsObservations, LargeAnswer

from .._wording import examples
from ._observed import NOT_KNOWN, asking, dead, not_told, observed, on, silent, subjects, unseen


@check(
    "dns.large-answers",
    title="Answers of more than 512 bytes arrive whole",
    severity=Severity.MEDIUM,
    reads=(DnsObservations,),
)
def large_answers(facts: Facts) -> Iterator[Finding]:
    """A headless Service of thirty brokers or executors does not fit into a plain DNS datagram.

    ## What it checks
    A headless Service gets 60 addresses. Pods on a node of each zone ask for it by a plain datagram (which must be
    whole, or say that it was cut), by one that may hold 1,232 bytes, over TCP (which must be whole), and through the
    system's resolver (which must find all of them).

    ## Why it matters
    A plain datagram holds about 30 addresses. The resolver then asks again over TCP; where port 53 is open for UDP
    only, or a server cuts without saying so, large Services resolve in part, late or not at all, and small ones do.

    ## How to fix
    Allow TCP to port 53 of the DNS Service and its pods, in policies, firewalls and security groups.

    ## References
    - [RFC 7766: DNS over TCP](https://www.rfc-editor.org/rfc/rfc7766)
    - [CoreDNS: bufsize](https://coredns.io/plugins/bufsize/)
    - [DNS for Services and Pods](https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/)
    """
    what = "Whether answers of more than 512 bytes arrive whole"
    document = observed(facts)
    yield from unseen(document)
    step = document.step("large")
    if step is None or step.cause is not None:
        yield not_told(what, step)
        return
    expected = document.large_addresses
    views = asking(document)
    found = {name: view.large for name, view in views.items() if view.large is not None}
    mute = dead(views) | {name: each.plain.error for name, each in found.items() if _is_mute(each)}
    if denied := {name: error for name, error in mute.items() if error in NOT_KNOWN}:
        yield Finding.unknown(
            f"{what} cannot be told on {on(denied)}: the name of a headless Service does not resolve there "
            f"({next(iter(denied.values()))}).",
            subjects=subjects(denied),
            fix="Repair names of headless Services first; the check dns.new-names says more.",
        )
    if others := {name: error for name, error in mute.items() if error not in NOT_KNOWN}:
        yield silent(others, what)
    heard = {name: each for name, each in found.items() if name not in mute}
    troubles = [*_without_tcp(heard, expected), *_cut(heard, expected)]
    yield from troubles
    if heard and not troubles and not mute:
        first = next(iter(heard.values()))
        yield Finding.ok(
            f"On {on(heard)} an answer of {expected} addresses ({first.tcp.bytes:,} bytes) arrives whole over TCP and "
            "through the resolver.",
            subjects=subjects(heard),
        )


def _is_mute(each: LargeAnswer) -> bool:
    return not (each.plain.addresses or each.plain.truncated or each.edns.addresses or each.tcp.addresses)


def _without_tcp(found: dict[str, LargeAnswer], expected: int) -> Iterator[Finding]:
    cut = {
        name: each
        for name, each in found.items()
        if each.tcp.addresses < expected or each.resolver_addresses < expected
    }
    if not cut:
        return
    first = next(iter(cut.values()))
    tcp = first.tcp.error or f"{first.tcp.addresses} addresses"
    resolver = first.resolver_error or f"{first.resolver_addresses} addresses"
    yield Finding.fail(
        f"On {on(cut)} an answer of {expected} addresses does not arrive whole: over TCP {tcp}, through the system's "
        f"resolver {resolver}.",
        subjects=subjects(cut),
        fix="Allow TCP to port 53 of the DNS Service and its pods in policies, firewalls and security groups.",
        evidence=examples(
            {
                name: {
                    "tcp": each.tcp.error or each.tcp.addresses,
                    "resolver": each.resolver_error or each.resolver_addresses,
                }
                for name, each in cut.items()
            }
        ),
    )


def _cut(found: dict[str, LargeAnswer], expected: int) -> Iterator[Finding]:
    def is_cut(answer: Answer) -> bool:
        return not answer.error and not answer.truncated and answer.addresses < expected

    if cut := {name: each for name, each in found.items() if is_cut(each.plain) or is_cut(each.edns)}:
        first = next(iter(cut.values()))
        least = min(first.plain.addresses, first.edns.addresses)
        yield Finding.warn(
            f"On {on(cut)} a datagram brings {least} of {expected} addresses, and does not say that it was cut: "
            "clients do not ask for the rest.",
            subjects=subjects(cut),
            fix="Look for a DNS cache or proxy on the way that drops records, and replace it.",
            evidence=examples({name: [each.plain.addresses, each.edns.addresses] for name, each in cut.items()}),
        )
