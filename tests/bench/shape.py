"""The shape of a large cluster: how many of what, and what every generated object carries."""

from __future__ import annotations

import random
from typing import Any

NODES = 5_000
PODS = 150_000
NAMESPACES = 400
APPS_PER_NAMESPACE = 12

STATEFUL_SHARE = 4
"""Every so many apps one is a StatefulSet; each of its pods has a claim and a volume."""

SEED = 20_240_601

Json = dict[str, Any]


class Shape:
    """Names and stamps of the objects, the same in every run.

    Args:
        nodes: how many nodes.
        pods: how many pods, spread over at most :data:`NAMESPACES` x :data:`APPS_PER_NAMESPACE` apps.
    """

    def __init__(self, *, nodes: int = NODES, pods: int = PODS) -> None:
        self.nodes = nodes
        self.pods = pods
        self.random = random.Random(SEED)  # noqa: S311  reproducible, not secret
        self.apps = max(1, min(NAMESPACES * APPS_PER_NAMESPACE, pods // 10))

    def is_stateful(self, app: int) -> bool:
        """Whether the app is a StatefulSet."""
        return app % STATEFUL_SHARE == 0

    def replicas(self, app: int) -> int:
        """How many pods an app has."""
        return self.pods // self.apps + (app < self.pods % self.apps)

    def place(self, app: int) -> tuple[str, str]:
        """An app's namespace and name."""
        return f"team-{app * NAMESPACES // self.apps:03}", f"app-{app:04}"

    def uid(self) -> str:
        """The next uid."""
        bits = f"{self.random.getrandbits(128):032x}"
        return f"{bits[:8]}-{bits[8:12]}-{bits[12:16]}-{bits[16:20]}-{bits[20:]}"

    def time(self) -> str:
        """The next timestamp."""
        day, second = self.random.randrange(1, 29), self.random.randrange(86_400)
        return f"2024-05-{day:02}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z"

    def meta(self, name: str, namespace: str | None, **more: Any) -> Json:
        """Metadata with what every object carries."""
        place = {"namespace": namespace} if namespace else {}
        version = str(self.random.randrange(10**9))
        stamps = {"uid": self.uid(), "resourceVersion": version, "creationTimestamp": self.time()}
        return {"name": name, **place, **stamps, **more}

    def condition(self, type: str, status: str = "True", **more: Any) -> Json:  # noqa: A002  the API's word
        """One entry of ``status.conditions``."""
        return {"type": type, "status": status, "lastProbeTime": None, "lastTransitionTime": self.time(), **more}

    def node_name(self, number: int) -> str:
        """A node's name."""
        return f"ip-10-{number // 65536}-{number // 256 % 256}-{number % 256}.eu-central-1.compute.example.com"

    def labels(self, name: str) -> Json:
        """The labels of an app's objects."""
        return {
            "app.kubernetes.io/name": name,
            "app.kubernetes.io/instance": f"{name}-prod",
            "app.kubernetes.io/component": "server",
            "app.kubernetes.io/managed-by": "Helm",
        }
