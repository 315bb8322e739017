"""Do the pods of a job start together or not at all?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, Status, Workload, check, threshold
from auditor.facts.kube import ConfigMap, Deployment
from auditor.facts.parts import if_served

from .._wording import counted, full_name, full_names
from ._deployments import config_map_parts, deployments, is_running, mounted_config
from ._mechanisms import MECHANISMS, Mechanism
from ._native import NATIVE_PARTS, native_gangs

_HIDDEN_VERSION = "-aliyun."
"""Suffix of ACK's server version: its own kube-scheduler, which nobody sees, schedules gangs in Pro clusters."""


class GangParameters(Parameters, frozen=True, kw_only=True):
    """What a site knows of its schedulers."""

    own_schedulers: Annotated[
        tuple[str, ...],
        threshold(
            "Globs over namespace/name of Deployments that schedule gangs or queue jobs and are not known here.",
            source="The site's own schedulers; Volcano, YuniKorn, Kueue and the others of this page are known.",
        ),
    ] = ()
    native_gates_on: Annotated[
        bool,
        threshold(
            "Whether the site knows that kube-scheduler runs with Kubernetes' own gang scheduling switched on.",
            source="The site's own control plane; a hidden kube-scheduler's flags cannot be read.",
        ),
    ] = False


@dataclass(frozen=True, slots=True)
class State:
    """What became of one mechanism.

    Attributes:
        mechanism: which.
        running: its Deployments that have a ready pod.
        down: its Deployments that have none.
        off: of the running ones, those whose configuration leaves the plugin out that makes gangs.
        unclear: of the running ones, those whose configuration cannot be understood, and why.
    """

    mechanism: Mechanism
    running: list[Deployment]
    down: list[Deployment]
    off: list[Deployment] = field(default_factory=list)
    unclear: dict[str, str] = field(default_factory=dict)

    @property
    def working(self) -> list[Deployment]:
        """The Deployments that schedule gangs, as far as can be told."""
        return [each for each in self.running if each not in self.off and full_name(each) not in self.unclear]


@check(
    "scheduler.gang-scheduling",
    title="The pods of a job can be started all together or not at all",
    severity=Severity.HIGH,
    workloads=(Workload.SPARK, Workload.TENSORFLOW, Workload.CAFFE),
    reads=(
        Deployment,
        *config_map_parts(key for mechanism in MECHANISMS for key in mechanism.configs),
        *(if_served(mechanism.view) for mechanism in MECHANISMS if mechanism.view is not None),
        *NATIVE_PARTS,
    ),
    aliases=("SCH-001",),
)
def gang_scheduling(facts: Facts, params: GangParameters) -> Iterator[Finding]:
    """A cluster that fills up must not leave many jobs half started, each holding what the others wait for.

    ## What it checks
    At least one of these runs, with a ready pod: Volcano, YuniKorn, Kueue, the Coscheduling plugin of
    scheduler-plugins, KAI Scheduler or Koordinator; or Kubernetes' own gang scheduling is on.

    - A scheduler is found by its Deployment's name, images and labels; `own_schedulers` adds others. Where it mounts
      its configuration from the ConfigMap that its documentation names, that must switch the plugin on: `gang` for
      Volcano, `Coscheduling` for scheduler-plugins.
    - CRDs without a running scheduler are what an uninstalled one left behind: jobs that ask for it wait for ever.
    - Kubernetes' own gangs (Workload in 1.35, Workload and PodGroup from 1.36 on) are off by default, and only the
      server's discovery tells whether they are served. That proves the API server's gate, not kube-scheduler's: the
      latter is read from its flags where its pods are visible, or from PodGroups that it has decided on. Else the
      finding is unknown, and a probe or `native_gates_on` tells.

    Whether a job makes use of it is up to the job: a queue's label, a scheduler's name, a group's annotation.

    ## Why it matters
    kube-scheduler places pod by pod. Ten Spark applications submitted at once get ten drivers running and no executor;
    two trainings that need 60 % of the GPUs each get half of their workers, and neither ever begins.

    ## How to fix
    Install one of them and let jobs name it: `spark.kubernetes.scheduler.name`, `batchScheduler` of the Spark operator,
    the label `kueue.x-k8s.io/queue-name`. For Kubernetes' own: `--runtime-config` for `scheduling.k8s.io` and
    `--feature-gates=GenericWorkload=true` (up to 1.36 also `GangScheduling=true`) on API server and kube-scheduler.
    Manifests for 1.35 (`spec.workloadRef`) do not work on 1.36, which names `spec.schedulingGroup.podGroupName`.

    ## References
    - [Gang scheduling](https://kubernetes.io/docs/concepts/scheduling-eviction/gang-scheduling/)
    - [Workload-aware scheduling in Kubernetes 1.37](https://kubernetes.io/blog/2026/09/08/kubernetes-v1-37-advancing-workload-aware-scheduling/)
    - [Spark: customized Kubernetes schedulers](https://spark.apache.org/docs/latest/running-on-kubernetes.html#customized-kubernetes-schedulers-for-spark-on-kubernetes)
    - [Drivers take everything, executors wait](https://github.com/kubeflow/spark-operator/issues/594)
    - [Kueue](https://kueue.sigs.k8s.io/docs/overview/)
    - [Volcano](https://volcano.sh/en/docs/)
    - [Coscheduling plugin](https://github.com/kubernetes-sigs/scheduler-plugins/blob/master/pkg/coscheduling/README.md)
    - [ACK: gang scheduling](https://www.alibabacloud.com/help/en/ack/ack-managed-and-ack-dedicated/user-guide/work-with-gang-scheduling)
    """
    own = [each for each in facts.list(Deployment) if _is_own(each, params) and is_running(each)]
    states = [_state(facts, mechanism) for mechanism in MECHANISMS]
    works = bool(own) or any(state.working for state in states)
    if own:
        yield _works("A scheduler of the site's own", sorted(own, key=full_name))
    for state in states:
        if state.working:
            yield _works(state.mechanism.name, state.working)
    native = None if works else native_gangs(facts, gates_on=params.native_gates_on)
    if native is not None:
        yield native
        works = native.status is not Status.FAIL
    hidden = _HIDDEN_VERSION in facts.origin.server_version
    status = Status.WARN if works or hidden else Status.FAIL
    broken = [finding for state in states for finding in _broken(state, status)]
    if not own:  # else it may be what serves them
        broken += _left_behind(facts, states, status)
    yield from broken
    if not works and native is None:
        yield from _nothing(hidden=hidden, broken=bool(broken))


def _is_own(deployment: Deployment, params: GangParameters) -> bool:
    return any(fnmatchcase(full_name(deployment), glob) for glob in params.own_schedulers)


def _state(facts: Facts, mechanism: Mechanism) -> State:
    found = deployments(facts, mechanism.marks)
    running = [each for each in found if is_running(each)]
    state = State(mechanism, running, [each for each in found if each not in running])
    for deployment in running:
        config = mounted_config(facts, deployment, mechanism.configs)
        if config is not None:
            _read(state, deployment, config)
    return state


def _read(state: State, deployment: Deployment, config: ConfigMap) -> None:
    """Note what a configuration says; one text of the ConfigMap that switches the plugin on is enough."""
    texts = list((config.data or {}).values())
    wrong: list[str] = []
    for text in texts:
        try:
            if state.mechanism.switched_on(text):
                return
        except ValueError as error:
            wrong.append(str(error))
    if len(wrong) < len(texts):
        state.off.append(deployment)
    else:
        state.unclear[full_name(deployment)] = "; ".join(wrong) or "it is empty"


def _works(name: str, running: list[Deployment]) -> Finding:
    pods = sum(each.status.ready_replicas for each in running)
    return Finding.ok(
        f"{name} runs ({full_names(running)}, {counted(pods, 'ready pod')}): jobs can be started as a whole.",
        subjects=[each.subject for each in running],
    )


def _broken(state: State, status: Status) -> Iterator[Finding]:
    """What is installed of a mechanism and does not work."""
    mechanism = state.mechanism
    if state.off:
        yield Finding.of(
            status,
            f"{mechanism.name} ({full_names(state.off)}) runs without the plugin {mechanism.plugin}, which starts the "
            "pods of a job together: they are scheduled one by one.",
            subjects=[each.subject for each in state.off],
            fix=f"Enable the plugin {mechanism.plugin} in the scheduler's configuration and restart the scheduler.",
        )
    if state.unclear:
        unclear = [each for each in state.running if full_name(each) in state.unclear]
        yield Finding.unknown(
            f"Whether {mechanism.name} ({full_names(unclear)}) runs with the plugin {mechanism.plugin} cannot be told: "
            "its configuration cannot be understood.",
            subjects=[each.subject for each in unclear],
            evidence=dict(state.unclear),
        )
    if state.down and not state.running:
        yield Finding.of(
            status,
            f"{mechanism.name} is installed and does not run: {full_names(state.down)} has 0 ready pods, at least 1 "
            "was expected. Pods and jobs that ask for it wait.",
            subjects=[each.subject for each in state.down],
            fix="Look at the pods of the Deployment and let one become ready.",
            command="\n".join(f"kubectl -n {each.namespace} get pods,events" for each in state.down),
        )


def _left_behind(facts: Facts, states: list[State], status: Status) -> Iterator[Finding]:
    """The mechanisms of which only the CRDs are there."""
    for state in states:
        name, view = state.mechanism.name, state.mechanism.view
        if view is None or state.running or state.down or not facts.served(if_served(view)):
            continue
        yield Finding.of(
            status,
            f"The server serves {view.api.plural}.{view.api.group}, but nothing that runs is known to be {name}: these "
            "CRDs were left behind, and a job that asks for it waits for ever.",
            fix=f"Install {name} again or delete its CRDs; name a Deployment of your own in own_schedulers.",
        )


def _nothing(*, hidden: bool, broken: bool) -> Iterator[Finding]:
    if hidden:
        yield Finding.unknown(
            "Whether jobs can be started as a whole cannot be told: ACK's own scheduler does it in Pro clusters, for "
            "pods with the label pod-group.scheduling.sigs.k8s.io/name, and it is hidden.",
            fix="Name a Deployment that schedules gangs in own_schedulers, or run the probe of gangs.",
        )
    elif not broken:
        yield Finding.fail(
            "Nothing starts the pods of a job together: no Volcano, YuniKorn, Kueue, Scheduler Plugins, KAI or "
            "Koordinator runs, and the server does not serve Kubernetes' own Workload; one of them was expected.",
            fix="Install Kueue, Volcano or YuniKorn, and let Spark and training jobs name its queue or scheduler.",
        )
