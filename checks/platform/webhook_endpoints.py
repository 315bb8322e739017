"""Does somebody listen behind each admission webhook?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from auditor import Facts, Finding, Severity, Subject, Workload, check
from auditor.facts.kube import EndpointSlice, Namespace, Service
from auditor.facts.kube.admission import MutatingWebhookConfiguration, ValidatingWebhookConfiguration

from .._wording import counted, examples, listed
from ._hooks import KUBE_SYSTEM, Hook, hooks, is_elsewhere, ready_endpoints, selected_namespaces

_BRING_BACK = "Bring the server behind the Service back, or delete the configuration of what was uninstalled."
_TRY = "Create a pod with --dry-run=server and see whether it is accepted."


@check(
    "platform.webhook-endpoints",
    title="A server listens behind every admission webhook that data systems pass",
    severity=Severity.HIGH,
    workloads=(Workload.SPARK, Workload.FLINK, Workload.KAFKA),
    reads=(MutatingWebhookConfiguration, ValidatingWebhookConfiguration, EndpointSlice, Service, Namespace),
    aliases=("PLT-005",),
)
def webhook_endpoints(facts: Facts) -> Iterator[Finding]:
    """A webhook that does not answer, and must, stops everything that it is asked about.

    ## What it checks
    Webhooks with a rule on the creation of pods, claims, Services, ConfigMaps, StatefulSets, Deployments or Jobs, or on
    resources of an operator for Kafka, Spark, Flink, HDFS or training:

    - The Service of each has a ready endpoint. Without one, `failurePolicy: Fail` (the default) fails, unless the
      webhook's namespaceSelector selects no namespace today: that, and `failurePolicy: Ignore`, is a warning.
    - `failurePolicy: Fail` for every pod leaves `kube-system` out; otherwise it is a warning.

    Webhooks that are called by a URL cannot be looked at from here. On the API server's own machine (127.0.0.1), where
    EKS and GKE put theirs, they are the control plane's own business. That a webhook answers in time is proved by a
    probe, and not here.

    ## Why it matters
    The API server refuses the request: no pod of any kind is created, Spark drivers never start, a broker that was
    evicted is not replaced. Where it may be ignored, pods start without what the webhook would have added: Kubeflow's
    Spark operator mounts volumes and ConfigMaps that way. A webhook that wants to see the pods of kube-system keeps DNS
    and network from coming back after an outage, and itself with them.

    ## How to fix
    Find out why the server behind the Service is not ready, or delete the configuration of what was uninstalled:

        kubectl get endpointslices --namespace NAMESPACE --selector kubernetes.io/service-name=SERVICE
        kubectl delete validatingwebhookconfiguration NAME

    If it is ready and requests fail all the same, look at firewalls between control plane and nodes (private GKE
    clusters only let ports 443 and 10250 pass) and at a mesh sidecar in the webhook's pod.

    ## References
    - [Dynamic admission control](https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/)
    - [Admission webhook good practices](https://kubernetes.io/docs/concepts/cluster-administration/admission-webhooks-good-practices/)
    - [Spark operator's webhook on a private GKE cluster](https://github.com/kubeflow/spark-operator/issues/537)
    - [Spark operator's webhook behind a mesh sidecar](https://github.com/kubeflow/spark-operator/issues/3100)
    """
    for kind, view in _KINDS:
        yield from _judge(facts, list(hooks(facts, view)), kind)
    for kind, view in _KINDS:
        yield from _judge_by_namespace(facts, list(hooks(facts, view)), kind)


_KINDS = (("mutating", MutatingWebhookConfiguration), ("validating", ValidatingWebhookConfiguration))


def _judge(facts: Facts, found: Sequence[Hook], kind: str) -> Iterator[Finding]:
    """What can be said without looking at namespaces."""
    if not found:
        yield Finding.ok(f"No {kind} webhook is asked about what data systems create.")
    yield from _by_url([hook for hook in found if not hook.service], kind)
    by_service = [hook for hook in found if hook.service]
    if alive := [hook for hook in by_service if ready_endpoints(facts, hook)]:
        yield Finding.ok(
            f"{_counted(alive, kind)} that data systems pass {_have(alive)} a ready endpoint: {_names(alive)}.",
            subjects=_subjects(alive),
        )
    dead = [hook for hook in by_service if hook not in alive]
    if elsewhere := [hook for hook in dead if is_elsewhere(facts, hook)]:
        yield Finding.unknown(
            f"Whether {_counted(elsewhere, kind)} ({_names(elsewhere)}) {_answers(elsewhere)} cannot be told: "
            "the Service names a host elsewhere.",
            subjects=_subjects(elsewhere),
            fix=_TRY,
        )
    closed = [hook for hook in dead if hook.webhook.fails_closed and hook not in elsewhere]
    if everywhere := [hook for hook in closed if hook.webhook.asks_for_all_namespaces]:
        yield _refuses(everywhere, kind, "in every namespace")


def _judge_by_namespace(facts: Facts, found: Sequence[Hook], kind: str) -> Iterator[Finding]:
    """The rest: whom webhooks that do not listen concern, and which listen to kube-system."""
    by_service = [hook for hook in found if hook.service]
    alive = [hook for hook in by_service if ready_endpoints(facts, hook)]
    dead = [hook for hook in by_service if hook not in alive and not is_elsewhere(facts, hook)]
    somewhere: defaultdict[tuple[str, ...], list[Hook]] = defaultdict(list)
    for hook in dead:
        if hook.webhook.fails_closed and not hook.webhook.asks_for_all_namespaces:
            somewhere[tuple(selected_namespaces(facts, hook))].append(hook)
    for namespaces, selecting in sorted(somewhere.items()):
        if namespaces:
            yield _refuses(selecting, kind, f"in {counted(len(namespaces), 'namespace')} ({listed(namespaces)})")
        else:
            yield _nobody_asks(selecting, kind)
    if ignorable := [hook for hook in dead if not hook.webhook.fails_closed]:
        yield _passed_by(ignorable, kind)
    yield from _judge_kube_system(facts, alive, kind)


def _refuses(dead: Sequence[Hook], kind: str, where: str) -> Finding:
    return Finding.fail(
        f"{_counted(dead, kind)} ({_names(dead)}) {_have(dead)} no ready endpoint behind {_services(dead)}, at least 1 "
        f"was expected; with failurePolicy Fail requests for {_objects(dead)}{_picked(dead)} are refused {where}.",
        subjects=_subjects(dead),
        fix=_BRING_BACK,
        command=_look(dead),
        evidence=_seen(dead),
    )


def _nobody_asks(dead: Sequence[Hook], kind: str) -> Finding:
    return Finding.warn(
        f"{_counted(dead, kind)} ({_names(dead)}) {_have(dead)} no ready endpoint behind {_services(dead)}, at least 1 "
        "was expected; no namespace is selected today, but with failurePolicy Fail the first that is gets no pods.",
        subjects=_subjects(dead),
        fix=_BRING_BACK,
        command=_look(dead),
        evidence=_seen(dead),
    )


def _passed_by(dead: Sequence[Hook], kind: str) -> Finding:
    return Finding.warn(
        f"{_counted(dead, kind)} ({_names(dead)}) {_have(dead)} no ready endpoint behind {_services(dead)}, at least 1 "
        f"was expected; with failurePolicy Ignore requests for {_objects(dead)} pass without it.",
        subjects=_subjects(dead),
        fix=_BRING_BACK,
        command=_look(dead),
        evidence=_seen(dead),
    )


def _by_url(found: Sequence[Hook], kind: str) -> Iterator[Finding]:
    own = [hook for hook in found if hook.is_in_control_plane or not hook.webhook.fails_closed]
    if own:
        yield Finding.skip(
            f"{_counted(own, kind)} ({_names(own)}) {'is' if len(own) == 1 else 'are'} called by URL, on the control "
            "plane's own machines or with failurePolicy Ignore: there are no endpoints to look at.",
            subjects=_subjects(own),
        )
    if foreign := [hook for hook in found if hook not in own]:
        yield Finding.unknown(
            f"Whether {_counted(foreign, kind)} ({_names(foreign)}) {'answers' if len(foreign) == 1 else 'answer'} "
            f"cannot be told, and requests for {_objects(foreign)} are refused if not: a URL is called.",
            subjects=_subjects(foreign),
            fix=_TRY,
            evidence=examples({hook.name: hook.webhook.client_config.url for hook in foreign}),
        )


def _judge_kube_system(facts: Facts, alive: Sequence[Hook], kind: str) -> Iterator[Finding]:
    closed = [hook for hook in alive if hook.webhook.fails_closed and hook.takes_every_pod]
    asked = [
        hook
        for hook in closed
        if hook.webhook.asks_for_all_namespaces or KUBE_SYSTEM in selected_namespaces(facts, hook)
    ]
    if asked:
        yield Finding.warn(
            f"{_counted(asked, kind)} ({_names(asked)}) with failurePolicy Fail {'is' if len(asked) == 1 else 'are'} "
            f"asked about every pod of {KUBE_SYSTEM} too; a namespaceSelector that leaves it out was expected.",
            subjects=_subjects(asked),
            fix=f"Leave {KUBE_SYSTEM} out by a namespaceSelector on kubernetes.io/metadata.name.",
            evidence=_seen(asked),
        )


def _counted(found: Sequence[Hook], kind: str) -> str:
    return counted(len(found), f"{kind} webhook")


def _have(found: Sequence[Hook]) -> str:
    return "has" if len(found) == 1 else "have"


def _answers(found: Sequence[Hook]) -> str:
    return "answers" if len(found) == 1 else "answer"


def _names(found: Sequence[Hook]) -> str:
    return listed([hook.name for hook in found])


def _subjects(found: Sequence[Hook]) -> list[Subject]:
    return list(dict.fromkeys(hook.configuration.subject for hook in found))


def _services(found: Sequence[Hook]) -> str:
    services = sorted({hook.service for hook in found})
    return f"Service {services[0]}" if len(services) == 1 else f"Services {listed(services)}"


def _objects(found: Sequence[Hook]) -> str:
    return listed(sorted({each for hook in found for each in hook.objects}))


def _picked(found: Sequence[Hook]) -> str:
    """That not every object is meant, where a webhook picks some by labels or expressions."""
    return "" if any(hook.webhook.asks_for_all_objects for hook in found) else " that its selectors pick"


def _look(found: Sequence[Hook]) -> str:
    services = sorted({str(hook.webhook.client_config.service) for hook in found})
    return "\n".join(
        f"kubectl get endpointslices --namespace {namespace} --selector kubernetes.io/service-name={name}"
        for namespace, _, name in (service.partition("/") for service in services[:3])
    )


def _seen(found: Sequence[Hook]) -> dict[str, object]:
    return examples({hook.name: {"service": hook.service, "objects": list(hook.objects)} for hook in found})
