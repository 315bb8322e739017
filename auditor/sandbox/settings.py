"""What a site decides about the pods of probes and benchmarks: images, places, sizes."""

from __future__ import annotations

from typing import Any

import msgspec

DEFAULT_PYTHON_IMAGE = "python:3.13-slim"
"""The public image that the probe agent runs on where no other is named."""


class Images(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where images come from: the one place for air-gapped sites."""

    agent: str = ""
    """The project's agent image, which adds fio and iperf3; the probe agent runs on it where it is named."""
    python: str = DEFAULT_PYTHON_IMAGE
    """Any image with Python 3.9 or newer, where no agent image is named."""
    mirror: str = ""
    """Prefix for every image that names no registry, such as ``registry.example.com/mirror``."""
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()
    """Names of Secrets in the sandbox's namespace, which must then be given and hold them."""

    @property
    def for_agent(self) -> str:
        """The image that the probe agent runs on."""
        return self.mirrored(self.agent or self.python)

    def mirrored(self, image: str) -> str:
        """The image as a pod names it."""
        registry, slash, _ = image.partition("/")
        names_registry = bool(slash) and ("." in registry or ":" in registry or registry == "localhost")
        return image if names_registry or not self.mirror else f"{self.mirror.rstrip('/')}/{image}"


class SandboxSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the pods of probes and benchmarks fit into the site."""

    namespace: str = ""
    """An existing namespace to use, for accounts that may not make one; empty: one is made for the run."""
    images: Images = Images()
    node_selector: dict[str, str] = {}
    tolerations: tuple[dict[str, Any], ...] = ()
    priority_class: str = ""
    run_as_user: int = 10001
    """Id of the user, and group, that pods run as; 0: none is named, for OpenShift, which chooses one."""
    pods_at_once: int = 60
    """At most so many pods of all probes together; the scheduler probe's burst is made to fit."""
    expiry_minutes: float = 60
    """After that a run counts as dead, and `auditor clean --expired` removes what it left."""
    patience_seconds: float = 120
    """For a pod to start or a claim to be bound, before the reason is looked for and told."""
