"""Can Strimzi be upgraded without leaving resources behind?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor import Facts, Finding, Severity, Workload, check
from auditor.facts.kube import Deployment
from auditor.facts.kube.apiextensions import CustomResourceDefinition
from auditor.facts.kube.strimzi import Kafka

from .._wording import counted, examples, full_names, listed
from ._components import STRIMZI, Installed, Release, installed_components, written

_GROUPS = ("kafka.strimzi.io", "core.strimzi.io")
_LASTING = "v1"
"""The only version of the API that Strimzi 1.0 knows."""
_ONLY_V1: Release = (1,)
_WITHOUT_ZOOKEEPER: Release = (0, 46)
_CONVERT = (
    "Convert the resources with Strimzi's API conversion tool (convert-resource), then the definitions (crd-upgrade)."
)


@check(
    "platform.stored-versions",
    title="No Kafka resource is stored in a version that Strimzi 1.0 drops",
    severity=Severity.HIGH,
    workloads=(Workload.KAFKA,),
    reads=(CustomResourceDefinition, Deployment, Kafka),
    aliases=("PLT-007",),
)
def stored_versions(facts: Facts) -> Iterator[Finding]:
    """Strimzi 1.0 reads `v1` only, and since 0.46 it runs no ZooKeeper.

    ## What it checks
    - `status.storedVersions` of the definitions of `kafka.strimzi.io` and `core.strimzi.io` names nothing but `v1`. An
      older version is a warning as long as the operator is older than 1.0, and a failure after.
    - No Kafka is run with ZooKeeper. One that is, is a warning, and a failure if an operator of 0.46 or newer is
      installed.

    The operator's version is taken from its image's tag. Where that cannot be told, what would fail is unknown.

    ## Why it matters
    Definitions of 1.0 leave `v1beta2` out. The API server refuses them as long as that version is among the stored
    ones, so that the upgrade stops half way, or the operator runs against definitions that lack its fields: brokers go
    on, and nobody rolls, scales or renews the certificates of them. A Kafka with ZooKeeper is not touched any more by
    an operator that does not know it.

    ## How to fix
    With Strimzi 0.49 to 0.51, whose definitions have both versions, convert and then take the old one away:

        bin/v1-api-conversion.sh convert-resource --all-namespaces
        bin/v1-api-conversion.sh crd-upgrade

    Migrate from ZooKeeper to KRaft with Strimzi 0.45, the last that can.

    ## References
    - [Strimzi: converting custom resources to the v1 API](https://strimzi.io/docs/operators/0.51.0/deploying#assembly-api-conversion-str)
    - [Strimzi: changelog](https://github.com/strimzi/strimzi-kafka-operator/blob/main/CHANGELOG.md)
    - [Strimzi: migrating to KRaft](https://strimzi.io/docs/operators/0.45.0/deploying#assembly-kraft-mode-str)
    - [Versions in CustomResourceDefinitions](https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/#upgrade-existing-objects-to-a-new-stored-version)
    """
    definitions = [each for each in facts.list(CustomResourceDefinition) if each.spec.group in _GROUPS]
    if not definitions:
        yield Finding.skip("Strimzi is not installed: it has no definition of custom resources here.")
        return
    operators = [each for each in installed_components(facts) if each.component is STRIMZI]
    yield from _judge_definitions(sorted(definitions, key=lambda each: each.name), operators)
    if any(each.spec.names.kind == Kafka.api.kind for each in definitions):
        yield from _judge_zookeeper(facts.list(Kafka), operators)


def _judge_definitions(
    definitions: Sequence[CustomResourceDefinition], operators: Sequence[Installed]
) -> Iterator[Finding]:
    unreported = [each for each in definitions if not each.status.stored_versions]
    if unreported:
        yield Finding.unknown(
            f"{_resources(unreported)} are stored in versions that cannot be told: status.storedVersions is empty.",
            subjects=[each.subject for each in unreported],
            fix="Collect again with the definitions' status.",
        )
    old = [each for each in definitions if set(each.status.stored_versions or ()) - {_LASTING}]
    if not old:
        if len(unreported) < len(definitions):
            yield Finding.ok(f"{_resources([d for d in definitions if d not in unreported])} are stored as v1 only.")
        return
    versions = sorted({version for each in old for version in each.status.stored_versions or ()} - {_LASTING})
    seen = f"{_resources(old)} may still be stored as {listed(versions)}"
    evidence = examples({each.name: list(each.status.stored_versions or ()) for each in old})
    subjects = [each.subject for each in old]
    if newer := [each for each in operators if each.release is not None and each.release >= _ONLY_V1]:
        yield Finding.fail(
            f"{seen}, and {_described(newer[0])} reads v1 only; nothing but v1 was expected.",
            subjects=subjects,
            fix=_CONVERT,
            evidence=evidence,
        )
    elif operators and all(each.release is None for each in operators):
        yield _release_unknown(f"{seen}, which Strimzi 1.0 and newer cannot read", operators)
    else:
        able = all(_LASTING in each.served_versions for each in old)
        first = "" if able else "Upgrade to a Strimzi from 0.49 to 0.51 with its definitions, which bring v1. "
        yield Finding.warn(
            f"{seen}; nothing but v1 is expected before an upgrade to Strimzi 1.0.",
            subjects=subjects,
            fix=f"{first}{_CONVERT}",
            evidence=evidence,
        )


def _judge_zookeeper(clusters: Sequence[Kafka], operators: Sequence[Installed]) -> Iterator[Finding]:
    old = sorted(
        (kafka for kafka in clusters if kafka.uses_zookeeper), key=lambda kafka: (kafka.namespace or "", kafka.name)
    )
    if not old:
        yield Finding.ok(f"No Kafka is run with ZooKeeper, of {len(clusters)} in all.")
        return
    seen = f"{counted(len(old), 'Kafka')} ({full_names(old)}) {'is' if len(old) == 1 else 'are'} run with ZooKeeper"
    subjects = [kafka.subject for kafka in old]
    releases = [each.release for each in operators if each.release is not None]
    able = [release for release in releases if release < _WITHOUT_ZOOKEEPER]
    if releases and not able:
        yield Finding.fail(
            f"{seen}, which Strimzi {written(min(releases))} does not know; KRaft was expected.",
            subjects=subjects,
            fix="Go back to Strimzi 0.45 and migrate to KRaft with it.",
        )
    elif operators and not releases:
        yield _release_unknown(f"{seen}, which Strimzi 0.46 and newer do not know", operators)
    else:
        yield Finding.warn(
            f"{seen}; KRaft is expected before an upgrade to Strimzi 0.46.",
            subjects=subjects,
            fix="Migrate to KRaft with Strimzi 0.45, the last that can.",
        )


def _release_unknown(seen: str, operators: Sequence[Installed]) -> Finding:
    return Finding.unknown(
        f"{seen}; which release {listed([each.place for each in operators])} runs cannot be told.",
        subjects=[each.deployment.subject for each in operators],
        fix="Look up which release of Strimzi the image is; convert before 1.0, migrate to KRaft before 0.46.",
    )


def _resources(definitions: Sequence[CustomResourceDefinition]) -> str:
    """``Custom resources kafkas and kafkatopics``, at the beginning of a sentence."""
    return f"Custom resources {listed([each.spec.names.plural or each.name for each in definitions])}"


def _described(each: Installed) -> str:
    return f"Strimzi {written(each.release or ())} ({each.place})"
