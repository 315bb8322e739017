"""Do executors have room to shuffle?"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from auditor import Facts, Finding, Severity, Workload, check
from auditor.facts.kube import LimitRange, Node, Pod, ResourceQuota, StorageClass
from auditor.facts.kube.spark import LOCAL_DIR_PREFIX, AnySparkApplication, LocalVolume, flag
from auditor.facts.quantity import parse_quantity

from ..._nodes import data_nodes
from ..._provisioners import NODE_LOCAL, ZONAL_BLOCK, matches
from ..._wording import counted, examples, full_name, full_names, listed
from ._applications import APPLICATIONS, application_of, applications, described, executors, nothing_to_judge

EPHEMERAL = "ephemeral-storage"
_VOLUME_KEY = re.compile(
    r"spark\.kubernetes\.executor\.volumes\.(?P<type>\w+)\.(?P<name>spark-local-dir-[^.]+)\.(?P<option>.+)"
)


class Place(Enum):
    """Where executors write shuffles and spills."""

    CLAIM = auto()
    NODE = auto()
    """A folder or a disk of the node that is no emptyDir."""
    MEMORY = auto()
    EMPTY_DIR = auto()


@dataclass(frozen=True, slots=True)
class LocalDir:
    """Where the executors of an application write.

    Attributes:
        place: the kind of volume.
        on_demand: whether each executor gets a claim of its own.
        storage_class: of claims made on demand; None is the default class.
    """

    place: Place
    on_demand: bool = False
    storage_class: str | None = None

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing to judge: neither a claim that must be made nor room that must be asked for."""
        return self.place is not Place.EMPTY_DIR and not self.on_demand


_Key = tuple[str, str | None, str]


def _key(app: AnySparkApplication) -> _Key:
    """What tells an application from those of the other operator, too."""
    return app.api.group, app.namespace, app.name


def local_dir(app: AnySparkApplication) -> LocalDir:
    """Where the executors of an application write."""
    volumes: defaultdict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for key, value in app.conf.items():
        if match := _VOLUME_KEY.fullmatch(key):
            volumes[match["type"], match["name"]][match["option"]] = value
    for (kind, _), options in sorted(volumes.items()):
        if kind == "persistentVolumeClaim":
            on_demand = options.get("options.claimName") == "OnDemand"
            return LocalDir(Place.CLAIM, on_demand, options.get("options.storageClass"))
        if kind != "emptyDir":
            return LocalDir(Place.NODE)
        if options.get("options.medium") == "Memory":
            return LocalDir(Place.MEMORY)
    return _of_mounted(app.local_volumes) or LocalDir(
        Place.MEMORY if flag(app.conf, "spark.kubernetes.local.dirs.tmpfs") else Place.EMPTY_DIR
    )


def _of_mounted(volumes: Sequence[LocalVolume]) -> LocalDir | None:
    """What the operator mounts; None where it leaves the directories to Spark."""
    if not volumes:
        return None
    if all(volume.empty_dir is None for volume in volumes):
        is_claim = any(volume.persistent_volume_claim is not None for volume in volumes)
        return LocalDir(Place.CLAIM if is_claim else Place.NODE)
    in_memory = all((volume.empty_dir or {}).get("medium") == "Memory" for volume in volumes)
    return LocalDir(Place.MEMORY if in_memory else Place.EMPTY_DIR)


@check(
    "spark.local-dirs",
    title="Spark executors have room of their own for shuffles",
    severity=Severity.HIGH,
    workloads=(Workload.SPARK,),
    reads=(*APPLICATIONS, Pod, LimitRange, StorageClass, ResourceQuota, Node),
    aliases=("SPK-004",),
)
def local_dirs(facts: Facts) -> Iterator[Finding]:
    """Executors write shuffles and spills to local directories, by default to the node's root disk.

    ## What it checks
    For every SparkApplication that has not ended, where its executors write:

    - an emptyDir, Spark's default: their containers request ephemeral-storage, by a pod template or by a LimitRange of
      the namespace; otherwise a warning. Executors that run and were not made by an operator are looked at too;
    - a claim on demand (`spark-local-dir-*` with the claim name `OnDemand`): its StorageClass exists, and a quota of
      the namespace allows as many claims as there are executors; otherwise a failure. A class that binds at once,
      before the executor is scheduled, although its volumes belong to one zone or node, is a warning;
    - tmpfs, the node's own disks or a shared claim are taken as they are.

    How large the nodes' disks are is judged by `nodes.*`, and whether claims are bound fast enough by a probe.

    ## Why it matters
    A pod that requests no ephemeral-storage counts as one that uses more than it asked for as soon as it writes a byte:
    under disk pressure the kubelet evicts it first ("The node was low on resource: ephemeral-storage … request is 0").
    One large shuffle then takes executors down in rows, and other pods of the node with them. With a claim whose class
    does not exist, or that a quota refuses, executors stay Pending.

    ## How to fix
    Let a LimitRange set the request, since Spark has no option of its own for it:

        kubectl apply --namespace NAMESPACE -f - <<EOF
        apiVersion: v1
        kind: LimitRange
        metadata: {name: ephemeral-storage}
        spec:
          limits:
          - type: Container
            defaultRequest: {ephemeral-storage: 10Gi}
            default: {ephemeral-storage: 100Gi}
        EOF

    For shuffles of more than a disk's worth use claims on demand, `spark.kubernetes.executor.volumes.`
    `persistentVolumeClaim.spark-local-dir-1.options.claimName: OnDemand`, with a class that waits for its consumer.

    ## References
    - [Spark on Kubernetes: local storage](https://spark.apache.org/docs/latest/running-on-kubernetes.html#local-storage)
    - [Local ephemeral storage](https://kubernetes.io/docs/concepts/storage/ephemeral-storage/)
    - [Node-pressure eviction](https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/)
    - [Executors evicted for ephemeral-storage](https://github.com/kubeflow/spark-operator/issues/772)
    """
    apps = [app for app in applications(facts) if not app.is_finished]
    dirs = {_key(app): local_dir(app) for app in apps}
    claiming = [app for app in apps if dirs[_key(app)].on_demand]
    if claiming:
        yield from _judge_classes(facts, claiming, dirs)
        yield from _judge_quotas(facts, claiming)
    yield from _judge_empty_dirs(facts, [app for app in apps if dirs[_key(app)].place is Place.EMPTY_DIR])
    if settled := [app for app in apps if dirs[_key(app)].is_settled]:
        yield Finding.ok(
            f"{described(settled)}: executors write to memory, to disks of the node or to a claim of their own.",
            subjects=[app.subject for app in settled],
        )
    if not apps and all(application_of(pod)[1] for pod in executors(facts)):
        yield nothing_to_judge("SparkApplication or executor that has not ended")


def _judge_classes(
    facts: Facts, apps: Sequence[AnySparkApplication], dirs: Mapping[_Key, LocalDir]
) -> Iterator[Finding]:
    classes = {cls.name: cls for cls in facts.list(StorageClass)}
    defaults = sorted(cls.name for cls in classes.values() if cls.is_default)
    by_class: defaultdict[str | None, list[AnySparkApplication]] = defaultdict(list)
    for app in apps:
        by_class[dirs[_key(app)].storage_class].append(app)
    for name, group in sorted(by_class.items(), key=lambda item: item[0] or ""):
        used = classes.get(name) if name is not None else next((classes[each] for each in defaults), None)
        if used is None:
            yield _no_class(name, group)
        elif not used.waits_for_consumer and _has_a_place(facts, used):
            yield _bound_too_early(used, group)
        else:
            yield Finding.ok(
                f"{described(group)}: executors write to claims of StorageClass {used.name}, made on demand.",
                subjects=[app.subject for app in group],
            )


def _has_a_place(facts: Facts, cls: StorageClass) -> bool:
    """Whether some data nodes cannot reach a volume of the class."""
    nodes = data_nodes(facts)
    if matches(cls.provisioner, NODE_LOCAL):
        return len(nodes) > 1
    return matches(cls.provisioner, ZONAL_BLOCK) and len({node.zone for node in nodes if node.zone}) > 1


def _no_class(name: str | None, apps: Sequence[AnySparkApplication]) -> Finding:
    wanted = f"StorageClass {name}, which does not exist" if name else "the default StorageClass, and there is none"
    return Finding.fail(
        f"{described(apps)}: executors write to claims of {wanted}; claim and executor stay Pending.",
        subjects=[app.subject for app in apps],
        fix="Name a class that exists in options.storageClass of the spark-local-dir volume.",
        command="kubectl get storageclasses",
    )


def _bound_too_early(cls: StorageClass, apps: Sequence[AnySparkApplication]) -> Finding:
    return Finding.warn(
        f"{described(apps)}: executors write to claims of StorageClass {cls.name}, whose volumes are made before the "
        "executor is scheduled (volumeBindingMode Immediate, WaitForFirstConsumer was expected) and can be reached "
        "from one zone or node only: executors can run only where their disk happens to be.",
        subjects=[app.subject for app in apps],
        fix="Name a class with volumeBindingMode WaitForFirstConsumer for the spark-local-dir volume.",
    )


def _judge_quotas(facts: Facts, apps: Sequence[AnySparkApplication]) -> Iterator[Finding]:
    too_small: dict[str, tuple[AnySparkApplication, int, int]] = {}
    for app in apps:
        allowed = min(_claims_allowed(facts.in_namespace(ResourceQuota, app.namespace or "")), default=None)
        if allowed is not None and app.executors is not None and app.executors > allowed:
            too_small[full_name(app)] = (app, app.executors, allowed)
    if too_small:
        yield Finding.fail(
            f"{described([app for app, _, _ in too_small.values()])}: more executors than the quota of the namespace "
            f"allows claims ({listed([f'{name}: {want} of {have}' for name, (_, want, have) in too_small.items()])}), "
            "one claim per executor was expected: the others stay Pending.",
            subjects=[app.subject for app, _, _ in too_small.values()],
            fix="Raise persistentvolumeclaims in the ResourceQuota, or ask for fewer executors.",
            evidence=examples(
                {name: {"executors": want, "claims": have} for name, (_, want, have) in too_small.items()}
            ),
        )


def _claims_allowed(quotas: Iterable[ResourceQuota]) -> Iterator[int]:
    for quota in quotas:
        for key in ("persistentvolumeclaims", "count/persistentvolumeclaims"):
            if (hard := (quota.spec.hard or {}).get(key)) is not None:
                yield int(parse_quantity(hard))


def _judge_empty_dirs(facts: Facts, apps: Sequence[AnySparkApplication]) -> Iterator[Finding]:
    bare = [app for app in apps if not any(_asks(each.requests, each.limits) for each in app.executor_requests)]
    pods = executors(facts)
    covered = {
        limits.namespace
        for limits in (facts.list(LimitRange) if bare or pods else ())
        for item in limits.spec.limits
        if item.type == "Container" and _asks(item.default_request, item.default)
    }
    seen_to_ask = {application_of(pod) for pod in pods if _pod_asks(pod)}
    without = [app for app in bare if app.namespace not in covered and (app.namespace, app.name) not in seen_to_ask]
    lacking = {_key(app) for app in without}
    if without:
        yield Finding.warn(
            f"{described(without)}: executors shuffle to an emptyDir on the node's disk and request no "
            "ephemeral-storage, a request was expected: under disk pressure they are evicted first.",
            subjects=[app.subject for app in without],
            fix="Let a LimitRange of the namespace set a default request for ephemeral-storage, or use claims.",
            evidence=examples({full_name(app): {"requests ephemeral-storage": "0"} for app in without}),
        )
    if asking := [app for app in apps if _key(app) not in lacking]:
        yield Finding.ok(
            f"{described(asking)}: executors shuffle to an emptyDir and request ephemeral-storage for it.",
            subjects=[app.subject for app in asking],
        )
    yield from _judge_pods([pod for pod in pods if application_of(pod)[1] is None])


def _judge_pods(free: Sequence[Pod]) -> Iterator[Finding]:
    """The executors of jobs that no operator made."""
    bare = [pod for pod in free if _writes_to_empty_dir(pod) and not _pod_asks(pod)]
    if bare:
        yield Finding.warn(
            f"{counted(len(bare), 'executor')} ({full_names(bare)}): shuffles go to an emptyDir on the node's disk "
            "without a request for ephemeral-storage, one was expected: under disk pressure they are evicted first.",
            subjects=[pod.subject for pod in bare],
            fix="Let a LimitRange of the namespace set a default request for ephemeral-storage.",
        )
    elif free:
        yield Finding.ok(f"Room of its own for {counted(len(free), 'executor')} of jobs without an operator.")


def _writes_to_empty_dir(pod: Pod) -> bool:
    local = [volume for volume in pod.spec.volumes or () if volume.name.startswith(LOCAL_DIR_PREFIX)]
    return any(volume.empty_dir is not None and volume.empty_dir.medium != "Memory" for volume in local)


def _pod_asks(pod: Pod) -> bool:
    resources = [each.resources for each in pod.spec.containers if each.resources is not None]
    return any(_asks(each.requests, each.limits) for each in resources)


def _asks(*tables: Mapping[str, object] | None) -> bool:
    """Whether one of the tables gives ephemeral-storage; a limit alone becomes the request too."""
    return any(parse_quantity(str(table[EPHEMERAL])) > 0 for table in tables if table and EPHEMERAL in table)
