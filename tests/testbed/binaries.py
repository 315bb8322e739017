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

BUILDS = (
    Build(module="etcd", packages={"etcd": "go.etcd.io/etcd/server/v3"}),
    Build(
        module="kubernetes",
        packages={name: f"k8s.io/kubernetes/cmd/{name}" for name in KUBERNETES},
        link_flags=_kubernetes_stamp(),
    ),
    Build(module="coredns", packages={"coredns": "github.com/coredns/coredns"}),
    Build(
        module="local-path-provisioner",
        packages={"local-path-provisioner": "github.com/rancher/local-path-provisioner"},
    ),
    Build(module="metrics-server", packages={"metrics-server": "sigs.k8s.io/metrics-server/cmd/metrics-server"}),
    Build(
        module="csi-resizer",
        packages={"csi-resizer": "github.com/kubernetes-csi/external-resizer/v2/cmd/csi-resizer"},
    ),
    Build(
        module="csi-snapshotter",
        packages={
            name: f"github.com/kubernetes-csi/external-snapshotter/v8/cmd/{name}"
            for name in ("csi-snapshotter", "snapshot-controller")
        },
    ),
    Build(
        module="csi-attacher",
        packages={"csi-attacher": "github.com/kubernetes-csi/external-attacher/v4/cmd/csi-attacher"},
    ),
    Build(module="kwok", packages={"kwok": "sigs.k8s.io/kwok/cmd/kwok"}),
)


@cache
def binary(name: str) -> Path:
    """Where a binary is cached.

    Raises:
        KeyError: no build makes it.
    """
    for build in BUILDS:
        if name in build.packages:
            return build.folder / name
    raise KeyError(name)


def build_all() -> None:
    """Build what is not cached yet, saying so on stderr."""
    for build in BUILDS:
        missing = [name for name in build.packages if not (build.folder / name).exists()]
        if missing:
            _build(build)


def _build(build: Build) -> None:
    started = time.monotonic()
    print(f"testbed: building {', '.join(build.packages)} …", file=sys.stderr, flush=True)
    time.monotonic()
    aside = build.folder.with_suffix(f".new-{os.getpid()}")
    aside.mkdir(parents=True)
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false"}
    for name, package in build.packages.items():
        command = ["go", "build", "-trimpath", "-ldflags", build.link_flags, "-o", str(aside / name), package]
        done = subprocess.run(
            command,
            cwd=SOURCES / "go" / build.module,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            run("rm", "-rf", aside)
            raise CommandError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}")
    aside.rename(build.folder)
    print(f"testbed: built {build.module} in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
