"""Admission as creators and drains feel it: everything is asked for with dryRun=All, and nothing comes of it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import islice, zip_longest

import msgspec

from auditor import ProbePlan, probe, rights
from auditor.cluster import ApiServer, Manifest, ObjectError, Objects, RequestError, discover
from auditor.facts.kube import Pod, StatefulSet
from auditor.facts.observations import Latencies, Step, StepState
from auditor.facts.observations.admission import AdmissionObservations, DryRun, Eviction
from auditor.facts.parts import Api
from auditor.sandbox import Sandbox
from auditor.sandbox.causes import cause_of
from auditor.sandbox.labels import MANAGED_BY, MANAGER
from auditor.sandbox.pods import container, pod
from auditor.sandbox.scope import Scope

REQUESTS = 10
LONGEST_SECONDS = 20.0
"""Of all requests for one kind; slow ones are fewer."""
PATIENCE_SECONDS = 12.0
"""Of one request: longer than the 10 s after which a webhook is given up by default. What may pass is tried again."""

EVICTIONS_AT_MOST = 100
PER_OWNER = 5
OWNERS_AT_MOST = 200
AT_ONCE = 4

STRIMZI = "strimzi.io/controller=strimzipodset"
_STRIMZI_KIND = "StrimziPodSet"
_BUDGET = re.compile(r"disruption budget (\S+) needs (\d+) healthy pods and has (\d+) currently")


class _Tried(msgspec.Struct, frozen=True, kw_only=True):
    """A resource of an operator, and the least that may be written into one."""

    api: Api
    spec: Manifest


def _operator(group: str, versions: Sequence[str], kind: str, plural: str, spec: Manifest) -> _Tried:
    return _Tried(api=Api(group=group, versions=tuple(versions), plural=plural, kind=kind, namespaced=True), spec=spec)


def _replicas(container_name: str) -> Manifest:
    image = "example.com/not-pulled:1"
    return {
        "Worker": {
            "replicas": 1,
            "restartPolicy": "Never",
            "template": {"spec": {"containers": [{"name": container_name, "image": image}]}},
        }
    }


_SIZE = {"cpu": 1, "memory": "1024m"}
_LISTENER = {"name": "plain", "port": 9092, "type": "internal", "tls": False}
OPERATORS = (
    _operator(
        "flink.apache.org",
        ("v1beta1",),
        "FlinkDeployment",
        "flinkdeployments",
        {
            "image": "example.com/not-pulled:1",
            "flinkVersion": "v1_20",
            "serviceAccount": "default",
            "jobManager": {"resource": _SIZE},
            "taskManager": {"resource": _SIZE},
        },
    ),
    _operator(
        "kafka.strimzi.io",
        ("v1", "v1beta2"),
        "Kafka",
        "kafkas",
        {"kafka": {"listeners": [_LISTENER]}},
    ),
    _operator("kubeflow.org", ("v1",), "PyTorchJob", "pytorchjobs", {"pytorchReplicaSpecs": _replicas("pytorch")}),
    _operator("kubeflow.org", ("v1",), "TFJob", "tfjobs", {"tfReplicaSpecs": _replicas("tensorflow")}),
    _operator(
        "spark.apache.org",
        ("v1", "v1beta1"),
        "SparkApplication",
        "sparkapplications",
        {"mainClass": "org.example.Main", "runtimeVersions": {"sparkVersion": "4.0.0"}},
    ),
    _operator(
        "sparkoperator.k8s.io",
        ("v1beta2",),
        "SparkApplication",
        "sparkapplications",
        {
            "type": "Scala",
            "mode": "cluster",
            "sparkVersion": "4.0.0",
            "image": "example.com/not-pulled:1",
            "mainClass": "org.example.Main",
            "mainApplicationFile": "local:///main.jar",
            "driver": {"cores": 1, "memory": "512m"},
            "executor": {"cores": 1, "instances": 1, "memory": "512m"},
        },
    ),
)


def plan(sandbox: Sandbox, scope: Scope) -> ProbePlan:  # noqa: ARG001  the signature of plans
    """Nothing is created."""
    return ProbePlan(
        objects=(),
        seconds=10,
        notes=(
            f"A pod, and a resource of each operator that is there, are created {REQUESTS} times with dryRun=All, and "
            f"the eviction of at most {EVICTIONS_AT_MOST} pods of StatefulSets is asked for likewise: no pod is stored "
            "or evicted.",
        ),
    )


@probe(
    "admission",
    title="Whether pods, jobs and evictions are admitted, and how soon (dry runs)",
    yields=AdmissionObservations,
    needs=(
        *rights("create", "pods"),
        *(
            right
            for group in sorted({each.api.group for each in OPERATORS})
            for right in rights(
                "create",
                *(each.api.plural for each in OPERATORS if each.api.group == group),
                group=group,
                optional=True,
            )
        ),
        *rights("list", "statefulsets", group="apps", cluster_wide=True, optional=True),
        *rights("list", "pods", cluster_wide=True, optional=True),
        *rights("create", "pods/eviction", cluster_wide=True, optional=True),
    ),
    plan=plan,
)
def admission(sandbox: Sandbox, scope: Scope) -> AdmissionObservations:  # noqa: ARG001  the signature of probes
    """Time dry runs one kind after the other, then ask for evictions."""
    started_at, started = datetime.now(UTC), time.monotonic()
    ordinary = dry_run(sandbox, Pod.api, "v1", pod_manifest(sandbox))
    step, evictions = _evictions(sandbox)
    return AdmissionObservations(
        started_at=started_at,
        namespace=sandbox.namespace,
        pod=ordinary,
        operators=tuple(_operators(sandbox)),
        eviction=step,
        evictions=evictions,
        took_seconds=time.monotonic() - started,
    )


def pod_manifest(sandbox: Sandbox) -> Manifest:
    """An ordinary pod."""
    images = sandbox.settings.images
    made = container("sleep", images.for_agent, ["sleep", "1"], pull_policy=images.pull_policy)
    return pod(sandbox, name=sandbox.name("admission"), containers=[made])


def dry_run(sandbox: Sandbox, api: Api, version: str, manifest: Manifest) -> DryRun:
    """Create something several times, without anything coming of it, and time it.

    Raises:
        ObjectError: the account may not create it.
    """
    objects = Objects(sandbox.objects.server, deadline_seconds=PATIENCE_SECONDS)
    latencies: list[float] = []
    refused: ObjectError | None = None
    stamped, started = sandbox.stamped(manifest), time.monotonic()
    while refused is None and len(latencies) < REQUESTS and time.monotonic() - started < LONGEST_SECONDS:
        sandbox.check()
        begun = time.monotonic()
        try:
            objects.create(api, stamped, version=version, dry_run=True)
        except ObjectError as error:
            if error.missing_permission:
                raise
            refused = error
        else:
            latencies.append(time.monotonic() - begun)
    return DryRun(
        group="" if api == Pod.api else api.group,
        version=version,
        kind=api.kind,
        asked=len(latencies) + (refused is not None),
        accepted=Latencies.of(latencies) if latencies else None,
        refused=None if refused is None else cause_of(refused),
        status=(refused.status or 0) if refused is not None else 0,
    )


def _operators(sandbox: Sandbox) -> Iterator[DryRun]:
    try:
        served = discover(sandbox.objects.server, [each.api for each in OPERATORS])
    except RequestError:
        return
    for each in OPERATORS:
        version = served.versions.get(each.api.id)
        if version is None or not served.groups:
            continue
        manifest = {
            "apiVersion": f"{each.api.group}/{version}",
            "kind": each.api.kind,
            "metadata": {"name": sandbox.name("admission")},
            "spec": each.spec,
        }
        try:
            yield dry_run(sandbox, each.api, version, manifest)
        except ObjectError as error:
            yield DryRun(
                group=each.api.group,
                version=version,
                kind=each.api.kind,
                asked=1,
                refused=cause_of(error),
                status=error.status or 0,
            )


class _Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A pod whose eviction is asked for."""

    namespace: str
    pod: str
    owner_kind: str
    owner: str
    owner_pods: int


def _evictions(sandbox: Sandbox) -> tuple[Step, tuple[Eviction, ...]]:
    started = time.monotonic()
    # Brakes of its own: a budget's refusal is a 429, and must not hold up the requests of other probes.
    objects = Objects(ApiServer(sandbox.objects.server.connection, sandbox.objects.server.limits))
    try:
        by_owner = [*_of_stateful_sets(objects), *_of_strimzi(objects)]
        # One of each owner first: where there are too many, all owners get their turn.
        in_turn = [each for round_ in zip_longest(*(o[:PER_OWNER] for o in by_owner)) for each in round_ if each]
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            asked = list(pool.map(lambda each: _evict(sandbox, objects, each), in_turn[:EVICTIONS_AT_MOST]))
    except ObjectError as error:
        seconds = time.monotonic() - started
        return Step(name="eviction", state=StepState.NOT_DONE, seconds=seconds, cause=cause_of(error)), ()
    detail = {"stateful_pods": sum(len(each) for each in by_owner), "owners": len(by_owner)}
    step = Step(name="eviction", state=StepState.OK, seconds=time.monotonic() - started, detail={**detail})
    return step, tuple(each for each in asked if each is not None)


def _of_stateful_sets(objects: Objects) -> Iterator[list[_Candidate]]:
    """The running pods of each StatefulSet that is not a probe's own."""
    sets = [msgspec.convert(found, StatefulSet) for found in objects.list(StatefulSet.api)]
    own = [each for each in sets if each.labels.get(MANAGED_BY) != MANAGER]
    for each in islice(sorted(own, key=lambda found: (found.namespace or "", found.name)), OWNERS_AT_MOST):
        labels = each.spec.selector.match_labels if each.spec.selector is not None else None
        if not labels:
            continue
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        listed = objects.list(Pod.api, namespace=each.namespace, labels=selector)
        found = _running(listed, StatefulSet.api.kind, pods=each.spec.replicas, name=each.name)
        if found:
            yield found


def _of_strimzi(objects: Objects) -> Iterator[list[_Candidate]]:
    by_owner: dict[tuple[str, str], list[Manifest]] = {}
    for found in objects.list(Pod.api, labels=STRIMZI):
        owner = _owner(found, _STRIMZI_KIND)
        if owner:
            by_owner.setdefault((found["metadata"]["namespace"], owner), []).append(found)
    for (_, name), pods in sorted(by_owner.items()):
        yield _running(pods, _STRIMZI_KIND, pods=len(pods), name=name)


def _running(listed: Sequence[Manifest], kind: str, *, pods: int | None, name: str) -> list[_Candidate]:
    return [
        _Candidate(
            namespace=found["metadata"]["namespace"],
            pod=found["metadata"]["name"],
            owner_kind=kind,
            owner=name,
            owner_pods=len(listed) if pods is None else pods,
        )
        for found in sorted(listed, key=lambda found: str(found["metadata"]["name"]))
        if found.get("status", {}).get("phase") == "Running"
        and "deletionTimestamp" not in found["metadata"]
        and _owner(found, kind) == name
    ]


def _owner(found: Manifest, kind: str) -> str:
    references = found["metadata"].get("ownerReferences") or ()
    return next((str(each["name"]) for each in references if each.get("kind") == kind), "")


def _evict(sandbox: Sandbox, objects: Objects, each: _Candidate) -> Eviction | None:
    """What is said of one eviction; None where the pod is gone meanwhile.

    Raises:
        ObjectError: the account may not ask for it, or nobody answers.
    """
    sandbox.check()
    known = msgspec.structs.asdict(each)
    try:
        objects.evict(Pod.api, each.pod, namespace=each.namespace, dry_run=True)
    except ObjectError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return None
        if error.missing_permission or error.status is None:
            raise
        budget, needed, healthy = budget_of(error.body)
        return Eviction(
            **known,
            is_accepted=False,
            status=error.status,
            message=error.reason,
            budget=budget,
            needed_pods=needed,
            healthy_pods=healthy,
        )
    return Eviction(**known, is_accepted=True)


def budget_of(body: str) -> tuple[str, int, int]:
    """The budget that refuses, of an answer: its name, the pods that it needs, those healthy; empty where none does."""
    told = _BUDGET.search(body)
    return ("", 0, 0) if told is None else (told[1], int(told[2]), int(told[3]))
