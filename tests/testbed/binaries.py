"""Kubernetes and its parts, built from Go modules at pinned versions and cached by what they are built from."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.testbed.layout import CACHE, KUBERNETES_VERSION, SOURCES
from tests.testbed.shell import CommandError, run


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """Commands that one Go module of ours builds.

    Attributes:
        module: folder below ``go/`` with go.mod and go.sum.
        packages: the Go packages of the commands, by the name that the binary gets.
        link_flags: for the linker, such as version stamps.
    """

    module: str
    packages: dict[str, str]
    link_flags: str = "-s -w"

    @property
    def folder(self) -> Path:
        """Where the binaries are cached."""
        return CACHE / "bin" / f"{self.module}-{self._fingerprint()}"

    @property
    def is_cached(self) -> bool:
        """Whether all of its binaries are there."""
        return all((self.folder / name).exists() for name in self.packages)

    def _fingerprint(self) -> str:
        digest = hashlib.sha256(repr((self.packages, self.link_flags)).encode())
        for name in ("go.mod", "go.sum"):
            digest.update((SOURCES / "go" / self.module / name).read_bytes())
        return digest.hexdigest()[:16]


def _kubernetes_stamp() -> str:
    major, minor, _ = KUBERNETES_VERSION.split(".")
    values = {"gitVersion": f"v{KUBERNETES_VERSION}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return "-s -w " + " ".join(f"-X {package}.{key}={value}" for package in packages for key, value in values.items())


KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
SNAPSHOTTER = ("csi-snapshotter", "snapshot-controller")

CLUSTER = Build(
    module="cluster",
    packages={
        "etcd": "go.etcd.io/etcd/server/v3",
        **{name: f"k8s.io/kubernetes/cmd/{name}" for name in KUBERNETES},
        "coredns": "github.com/coredns/coredns",
        "csi-attacher": "github.com/kubernetes-csi/external-attacher/v4/cmd/csi-attacher",
        "csi-resizer": "github.com/kubernetes-csi/external-resizer/v2/cmd/csi-resizer",
        **{name: f"github.com/kubernetes-csi/external-snapshotter/v8/cmd/{name}" for name in SNAPSHOTTER},
    },
    link_flags=_kubernetes_stamp(),
)
"""One module for all that gets along with Kubernetes' own versions of the shared packages: they are compiled once."""

METRICS_SERVER = Build(
    module="metrics-server", packages={"metrics-server": "sigs.k8s.io/metrics-server/cmd/metrics-server"}
)
LOCAL_PATH = Build(
    module="local-path-provisioner",
    packages={"local-path-provisioner": "github.com/rancher/local-path-provisioner"},
)
KWOK = Build(module="kwok", packages={"kwok": "sigs.k8s.io/kwok/cmd/kwok"})
"""Needs older Kubernetes packages than the others; built when nodes are first simulated."""

_BUILDS = (CLUSTER, METRICS_SERVER, LOCAL_PATH, KWOK)


@cache
def binary(name: str) -> Path:
    """Where a binary is; built first if it is not cached, which is said on stderr.

    Raises:
        KeyError: no build makes it.
        CommandError: it cannot be built.
    """
    for build in _BUILDS:
        if name in build.packages:
            ensure(build)
            return build.folder / name
    raise KeyError(name)


def ensure(*builds: Build) -> None:
    """Build what is not cached yet, saying so on stderr.

    Raises:
        CommandError: it cannot be built.
    """
    for build in builds:
        if not build.is_cached:
            _build(build)


def _build(build: Build) -> None:
    started = time.monotonic()
    print(f"testbed: building {', '.join(build.packages)} …", file=sys.stderr, flush=True)
    aside = build.folder.with_suffix(f".new-{os.getpid()}")
    aside.mkdir(parents=True)
    output = ["-o", str(aside / next(iter(build.packages))) if len(build.packages) == 1 else f"{aside}/"]
    command = ["go", "build", "-trimpath", "-ldflags", build.link_flags, *output, *build.packages.values()]
    done = subprocess.run(
        command,
        cwd=SOURCES / "go" / build.module,
        env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        run("rm", "-rf", aside)
        raise CommandError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}")
    if "etcd" in build.packages:
        (aside / "server").rename(aside / "etcd")  # Go names a binary after its package
    aside.rename(build.folder)
    print(f"testbed: built {build.module} in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
