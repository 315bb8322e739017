"""Does the API server say that it is ready?"""

from __future__ import annotations

from collections.abc import Iterator

from auditor import Facts, Finding, Severity, Subject, check, raw
from auditor.facts.readyz import Readiness, parse_readiness

from .._wording import counted, examples, listed

_READYZ = raw("readyz.txt")
_ASK = "kubectl get --raw '/readyz?verbose'"


@check(
    "control-plane.api-ready",
    title="Every part of the API server is ready",
    severity=Severity.CRITICAL,
    reads=(_READYZ,),
    aliases=("CPL-001",),
)
def api_ready(facts: Facts) -> Iterator[Finding]:
    """The API server reports that it and its connection to etcd work.

    ## What it checks
    The API server's answer to `/readyz?verbose`: it passes, and no line of it begins with `[-]`. The line `etcd` says
    whether the API server reaches etcd. Where there are several API servers, the answer is that of one of them.

    ## Why it matters
    A load balancer sends no requests to an API server that is not ready, and controllers behind it stand still: no pod
    is scheduled, no executor started, no broker replaced. A failed `etcd` line means that nothing can be written.

    ## How to fix
    Look at the parts that fail:

        kubectl get --raw '/readyz?verbose'

    For `etcd`, look at its members, their disks and certificates. For `poststarthook/…` and `informer-sync`, wait for a
    server that has just started, then read its log. On a managed service, ask the vendor.

    ## References
    - [Kubernetes API health endpoints](https://kubernetes.io/docs/reference/using-api/health-checks/)
    - [Operating etcd clusters for Kubernetes](https://kubernetes.io/docs/tasks/administer-cluster/configure-upgrade-etcd/)
    """
    try:
        readiness = parse_readiness(facts.text("readyz.txt"))
    except ValueError as error:
        yield Finding.unknown(
            f"Whether the API server is ready cannot be told. {error}.", fix="Collect again.", command=_ASK
        )
        return
    if not readiness.passed:
        yield _not_ready(readiness)
    elif readiness.excluded:
        names = [line.name for line in readiness.excluded]
        yield Finding.unknown(
            f"The API server is ready, but its answer leaves out {counted(len(names), 'part')} ({listed(names)}).",
            fix="Ask for all parts, and collect again.",
            command=_ASK,
        )
    elif not readiness.lines:
        yield Finding.ok("The API server says that it is ready, without naming its parts.")
    else:
        etcd = "etcd among them" if readiness.line("etcd") else "but its answer has no line for etcd"
        yield Finding.ok(f"All {len(readiness.lines)} parts of the API server are ready, {etcd}.")


def _not_ready(readiness: Readiness) -> Finding:
    failed = readiness.failed
    if not failed:
        return Finding.fail(
            "The API server says that it is not ready, without naming the part that fails.",
            fix="Ask for the parts, and repair the one that fails.",
            command=_ASK,
        )
    names = [line.name for line in failed]
    return Finding.fail(
        f"The API server is not ready: {len(names)} of {counted(len(readiness.lines), 'part')} "
        f"({listed(names)}) {'fails' if len(names) == 1 else 'fail'}, none was expected to.",
        subjects=[Subject(kind="ReadinessCheck", name=name) for name in names],
        fix="Look at etcd's members, disks and certificates."
        if readiness.line("etcd") in failed
        else "Read the API server's log for the parts that fail.",
        command=_ASK,
        evidence=examples({line.name: line.reason or "failed" for line in failed}),
    )
