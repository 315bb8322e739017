"""Does etcd survive the loss of a member?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, check, threshold
from auditor.facts.kube import Pod

from .._wording import counted, listed
from ._etcd import Member, etcd_members
from ._hosting import HOSTING_PARTS, hidden_by


class MembersParameters(Parameters, frozen=True, kw_only=True):
    """How many members etcd must have, and what the site knows of an etcd that is not seen."""

    min_members: Annotated[
        int,
        threshold(
            "Members that etcd must have.",
            source="etcd FAQ, failure tolerance: three members are the fewest that bear the loss of one.",
            ge=1,
        ),
    ] = 3
    max_members: Annotated[
        int,
        threshold(
            "Members that etcd may have.",
            source="etcd FAQ: probably no more than seven nodes; more cost write performance.",
            ge=1,
        ),
    ] = 7
    external_members: Annotated[
        int,
        threshold(
            "Members of an etcd that is neither pods nor nodes of the cluster; 0 where the site does not say.",
            source="The site's own etcd; it cannot be counted through the API.",
            ge=0,
        ),
    ] = 0


@check(
    "control-plane.etcd-members",
    title="etcd has an odd number of members, three or more, all ready",
    severity=Severity.CRITICAL,
    reads=(Pod, *HOSTING_PARTS),
    aliases=("CPL-003",),
)
def etcd_count(facts: Facts, params: MembersParameters) -> Iterator[Finding]:
    """The loss of one member does not stop etcd.

    ## What it checks
    The members of etcd that are seen in the cluster: pods with the label `component=etcd` in `kube-system` (kubeadm,
    RKE2), etcd's pods of kOps and OpenShift, nodes with the label `node-role.kubernetes.io/etcd` (k3s, RKE2, RKE) and
    the control-plane nodes of Talos. Three or more are expected, an odd number, at most seven, all of them ready. A
    member that was removed from the cluster but not from etcd is not seen.

    On a managed service etcd is the vendor's, and the check is skipped. An etcd that runs outside of the cluster cannot
    be counted through the API: say in `external_members` how many members it has.

    ## Why it matters
    etcd needs more than half of its members. With one or two, the loss of any stops the whole control plane, and with
    one also loses the cluster's state if its disk dies. An even number bears no more losses than the odd one below it.

    ## How to fix
    Add control-plane nodes until etcd has three or five members, in different zones. Replace a member that is not ready
    before another one fails:

        kubectl --namespace kube-system get pods --selector component=etcd --output wide

    ## References
    - [etcd FAQ: why an odd number of members, and what is failure tolerance](https://etcd.io/docs/v3.6/faq/)
    - [Operating etcd clusters for Kubernetes](https://kubernetes.io/docs/tasks/administer-cluster/configure-upgrade-etcd/)
    - [k3s: high availability with embedded etcd](https://docs.k3s.io/datastore/ha-embedded)
    """
    members = etcd_members(facts)
    if members:
        yield from _judge(members, params)
    elif params.external_members:
        yield from _judge_count(params.external_members, "as the site states", params, [])
    elif vendor := hidden_by(facts):
        yield Finding.skip(f"{vendor} runs etcd out of the cluster's sight and answers for it.")
    else:
        yield Finding.unknown(
            "How many members etcd has cannot be told: no pod and no node of the cluster is one. It runs outside of "
            "the cluster, or the state is kept in another database, as k3s may do.",
            fix="Say in external_members of this check how many members etcd has.",
        )


def _judge(members: Sequence[Member], params: MembersParameters) -> Iterator[Finding]:
    down = [member for member in members if not member.is_ready]
    if down:
        quorum = len(members) // 2 + 1
        left = len(members) - len(down) - quorum
        bears = f"it bears the loss of {left} more" if left > 0 else "it bears no further loss"
        yield Finding.fail(
            f"{len(down)} of {counted(len(members), 'etcd member')} ({_places(down)}) "
            f"{'is' if len(down) == 1 else 'are'} not ready, all were expected to be; {bears}.",
            subjects=[member.subject for member in down],
            fix="Repair or replace the members that are not ready.",
            command="kubectl --namespace kube-system get pods --selector component=etcd --output wide",
        )
    of_count = list(_judge_count(len(members), f"on {_places(members)}", params, members))
    yield from of_count
    if not down and not of_count:
        yield Finding.ok(
            f"All {len(members)} members of etcd are ready ({_places(members)}); it bears the loss of "
            f"{(len(members) - 1) // 2}.",
            subjects=[member.subject for member in members],
        )


def _judge_count(count: int, seen: str, params: MembersParameters, members: Sequence[Member]) -> Iterator[Finding]:
    subjects = [member.subject for member in members]
    has = f"etcd has {counted(count, 'member')} ({seen})"
    if count < params.min_members:
        yield Finding.fail(
            f"The cluster's {has}, at least {params.min_members} were expected: it bears the loss of none.",
            subjects=subjects,
            fix=f"Add control-plane nodes until etcd has {params.min_members} members.",
        )
    elif count > params.max_members:
        yield Finding.warn(
            f"The cluster's {has}, at most {params.max_members} were expected: each write waits for more of them.",
            subjects=subjects,
            fix="Remove members until five or seven are left.",
        )
    elif count % 2 == 0:
        yield Finding.warn(
            f"The cluster's {has}, an odd number was expected: it bears the loss of {(count - 1) // 2}, as with one "
            "member less.",
            subjects=subjects,
            fix="Add or remove one member.",
        )
    elif not members:
        yield Finding.ok(f"The cluster's {has}; it bears the loss of {(count - 1) // 2}.")


def _places(members: Sequence[Member]) -> str:
    return listed([member.place for member in members])
