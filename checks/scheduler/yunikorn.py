"""Does YuniKorn take only the pods that it should, and does it fit?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from auditor import Facts, Finding, Severity, check
from auditor.facts.kube import ConfigMap, Deployment
from auditor.facts.schedulers import parse_yunikorn_queues
from auditor.facts.version import KubeVersion, parse_version

from .._wording import counted, examples, full_name, full_names, listed
from ._deployments import ConfigMapKey, Marks, config_map_parts, deployments
from ._mechanisms import YUNIKORN

_NAMESPACE = "yunikorn"
_CONFIGS: tuple[ConfigMapKey, ...] = ((_NAMESPACE, "yunikorn-defaults"), (_NAMESPACE, "yunikorn-configs"))
"""The chart's settings, and those of the site, which win."""

_ADMISSION = Marks(names=("yunikorn-admission-controller",), labels=(("component", "yunikorn-admission-controller"),))
_PROCESS = "admissionController.filtering.processNamespaces"
_BYPASS = "admissionController.filtering.bypassNamespaces"
_BYPASS_DEFAULT = "^kube-system$"

_FIRST_RELEASES = {
    24: (1, 0), 25: (1, 2), 26: (1, 2), 27: (1, 4), 28: (1, 4), 29: (1, 5), 30: (1, 6), 31: (1, 6), 32: (1, 7),
    33: (1, 8), 34: (1, 8), 35: (1, 9),
}  # fmt: skip
"""By the server's minor version, the first release of YuniKorn that supports it, as its documentation lists them."""


@check(
    "scheduler.yunikorn-scope",
    title="YuniKorn schedules the namespaces meant for it and fits the server",
    severity=Severity.MEDIUM,
    reads=(Deployment, *config_map_parts(_CONFIGS)),
    aliases=("SCH-004",),
)
def yunikorn_scope(facts: Facts) -> Iterator[Finding]:
    """As it is installed by default, YuniKorn becomes the scheduler of every pod of the cluster.

    ## What it checks
    Where YuniKorn is installed:

    - Its release supports the server's version, by the table in its documentation.
    - Its admission controller, where there is one, is limited to some namespaces: `processNamespaces` is set, or
      `bypassNamespaces` names more than `kube-system`. The default takes every namespace, and is a warning.
    - No leaf queue sorts its applications by another policy than `fifo`, which gangs need. Another one is a warning.

    Settings are read from `yunikorn-defaults` and `yunikorn-configs` in namespace `yunikorn`; the second wins.

    ## Why it matters
    The admission controller writes `schedulerName: yunikorn` into pods of operators, databases and monitoring that have
    nothing to do with batch. While YuniKorn is down or misconfigured, none of them starts again. With a fair policy
    each of several gangs gets a part of its places, and none gets all.

    ## How to fix
    Name the namespaces of batch jobs in the chart's `yunikornDefaults`, or in `yunikorn-configs`:

        kubectl -n yunikorn edit configmap yunikorn-configs
        # data: admissionController.filtering.processNamespaces: "^spark-,^jobs$"

    Pods that exist keep their scheduler until they are made anew.

    ## References
    - [Service configuration](https://yunikorn.apache.org/docs/user_guide/service_config)
    - [Gang scheduling](https://yunikorn.apache.org/docs/user_guide/gang_scheduling)
    - [Sorting policies](https://yunikorn.apache.org/docs/user_guide/sorting_policies)
    - [Supported Kubernetes versions](https://yunikorn.apache.org/docs/get_started/version)
    """
    schedulers = deployments(facts, YUNIKORN.marks)
    if not schedulers:
        yield Finding.skip("No Deployment of YuniKorn is in the cluster.")
        return
    for scheduler in schedulers:
        yield _judge_release(scheduler, facts.origin.server_version)
    admission = deployments(facts, _ADMISSION)
    if not admission:
        yield Finding.ok("YuniKorn has no admission controller: it schedules the pods that name it.")
    elsewhere = [each for each in (*schedulers, *admission) if each.namespace != _NAMESPACE]
    if elsewhere:
        yield _not_read(elsewhere)
        return
    settings = _settings(facts)
    if admission:
        yield _judge_scope(settings, admission)
    yield _judge_queues(settings)


def _settings(facts: Facts) -> dict[str, str]:
    settings: dict[str, str] = {}
    for namespace, name in _CONFIGS:
        config = facts.get_named(ConfigMap, name, namespace=namespace)
        settings |= (config.data or {}) if config is not None else {}
    return settings


def _judge_release(scheduler: Deployment, server_version: str) -> Finding:
    subjects = [scheduler.subject]
    images = [each.image or "" for each in scheduler.spec.template.spec.containers]
    tags = [image.partition("@")[0].rpartition("/")[2].partition(":")[2] for image in images]
    release = next((found for tag in tags if (found := re.search(r"(\d+)\.(\d+)(\.\d+)?", tag))), None)
    server = _known(server_version)
    first = _FIRST_RELEASES.get(server.minor) if server is not None else None
    if release is None or server is None or first is None:
        return Finding.skip(
            f"Whether YuniKorn ({full_name(scheduler)}, {release[0] if release else 'of no known release'}) supports "
            f"the server ({server_version or 'of unknown version'}) is not judged: the table of versions does not say.",
            subjects=subjects,
        )
    wanted = f"{first[0]}.{first[1]}"
    if (int(release[1]), int(release[2])) >= first:
        return Finding.ok(
            f"YuniKorn {release[0]} supports Kubernetes {server.release}: {wanted} was the first to.", subjects=subjects
        )
    return Finding.warn(
        f"YuniKorn {release[0]} ({full_name(scheduler)}) does not support Kubernetes {server.release}, {wanted} or "
        "later was expected.",
        subjects=subjects,
        fix=f"Upgrade YuniKorn to {wanted} or later.",
    )


def _known(server_version: str) -> KubeVersion | None:
    try:
        return parse_version(server_version)
    except ValueError:
        return None


def _not_read(elsewhere: Sequence[Deployment]) -> Finding:
    namespaces = sorted({each.namespace or "" for each in elsewhere})
    return Finding.unknown(
        f"Which pods YuniKorn takes, and how its queues sort, cannot be told: it is in namespace {listed(namespaces)}, "
        f"and its configuration is read in {_NAMESPACE} only.",
        subjects=[each.subject for each in elsewhere],
        fix=f"See {_PROCESS} and {_BYPASS} in its ConfigMap yunikorn-configs.",
    )


def _judge_scope(settings: Mapping[str, str], admission: Sequence[Deployment]) -> Finding:
    process, bypass = settings.get(_PROCESS, "").strip(), settings.get(_BYPASS, _BYPASS_DEFAULT).strip()
    subjects = [each.subject for each in admission]
    if process:
        return Finding.ok(f"YuniKorn takes the pods of namespaces that match {_shown(process)}.", subjects=subjects)
    patterns = {pattern.strip() for pattern in bypass.split(",") if pattern.strip()}
    if patterns - {_BYPASS_DEFAULT}:
        return Finding.ok(
            f"YuniKorn takes the pods of all namespaces but those that match {_shown(bypass)}.", subjects=subjects
        )
    but = " but kube-system" if patterns else ", kube-system included"
    return Finding.warn(
        f"YuniKorn's admission controller ({full_names(admission)}) takes the pods of every namespace{but}; the "
        "namespaces of batch jobs only were expected: while YuniKorn is down, no pod of the cluster starts.",
        subjects=subjects,
        fix=f"Name the namespaces of batch jobs in {_PROCESS}.",
        command=f"kubectl -n {_NAMESPACE} edit configmap yunikorn-configs",
        evidence={_PROCESS: process, _BYPASS: bypass},
    )


def _shown(patterns: str) -> str:
    """Regular expressions as a message can show them."""
    return patterns if not set("{}") & set(patterns) else "its patterns"


def _judge_queues(settings: Mapping[str, str]) -> Finding:
    key = f"{settings.get('service.policyGroup', 'queues')}.yaml"
    if key not in settings:
        return Finding.ok("YuniKorn's queues sort their applications by fifo, the default.")
    try:
        policies = parse_yunikorn_queues(settings[key]).sort_policies()
    except ValueError as error:
        return Finding.unknown(
            f"How YuniKorn's queues sort their applications cannot be told: {key} cannot be understood.",
            evidence={"error": str(error)},
        )
    others = {name: policy for name, policy in sorted(policies.items()) if policy != "fifo"}
    if not others:
        return Finding.ok("YuniKorn's queues sort their applications by fifo.")
    named = listed([f"{name}: {policy}" for name, policy in others.items()])
    return Finding.warn(
        f"Applications are sorted by another policy than fifo in {counted(len(others), 'YuniKorn queue')} ({named}), "
        "fifo was expected: each of several gangs can get a part of its places.",
        fix="Set application.sort.policy to fifo on queues that gangs are submitted to.",
        command=f"kubectl -n {_NAMESPACE} edit configmap yunikorn-configs",
        evidence=dict(examples(others)),
    )
