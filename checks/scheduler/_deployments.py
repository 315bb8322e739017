"""Schedulers and their helpers as Deployments: how they are found, whether they run, how they are configured."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from auditor import Facts
from auditor.facts.kube import ConfigMap, Deployment
from auditor.facts.parts import Part, named

from .._roles import template_labels
from .._wording import full_name

ConfigMapKey = tuple[str, str]
"""Namespace and name of a ConfigMap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """By what a component's Deployment is known; one mark is enough.

    Attributes:
        names: globs over the Deployment's name.
        images: globs over the repositories of its images, without registry's tag or digest.
        labels: labels of its pods.
    """

    names: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()

    def fit(self, deployment: Deployment) -> bool:
        """Whether a Deployment carries one of the marks."""
        template = deployment.spec.template
        labels = template_labels(template).items()
        images = [repository(container.image or "") for container in template.spec.containers]
        return (
            _any(self.names, [deployment.name])
            or _any(self.images, images)
            or any(label in labels for label in self.labels)
        )


def repository(image: str) -> str:
    """``registry:5000/kueue/kueue`` of ``registry:5000/kueue/kueue:v0.15.0@sha256:…``."""
    image = image.partition("@")[0]
    path, slash, last = image.rpartition("/")
    return f"{path}{slash}{last.partition(':')[0]}"


def _any(globs: Iterable[str], texts: Iterable[str]) -> bool:
    texts = list(texts)
    return any(fnmatchcase(text, glob) for glob in globs for text in texts)


def deployments(facts: Facts, marks: Marks) -> list[Deployment]:
    """The Deployments that carry one of the marks, by name."""
    return sorted((each for each in facts.list(Deployment) if marks.fit(each)), key=full_name)


def is_running(deployment: Deployment) -> bool:
    """Whether at least one of its pods is ready."""
    return deployment.status.ready_replicas > 0


def config_map_parts(keys: Iterable[ConfigMapKey]) -> tuple[Part, ...]:
    """What a check declares to read those ConfigMaps."""
    return tuple(named(ConfigMap, name, namespace=namespace) for namespace, name in keys)


def mounted_config(facts: Facts, deployment: Deployment, known: Collection[ConfigMapKey]) -> ConfigMap | None:
    """The one of the known ConfigMaps that a Deployment mounts; None where it mounts none of them.

    A ConfigMap that no Deployment mounts is never asked for: the account that reads may have no right in a namespace
    that does not even exist.

    Raises:
        UnreadableError: it is mounted and could not be read.
    """
    for volume in deployment.spec.template.spec.volumes or ():
        source = volume.config_map
        if source is not None and (deployment.namespace or "", source.name or "") in known:
            return facts.get_named(ConfigMap, source.name or "", namespace=deployment.namespace)
    return None
