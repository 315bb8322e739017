"""CSI's and the kubelet's protocols: fetched at the versions that our Go modules pin, compiled and cached."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import shutil
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.testbed.layout import CACHE, SOURCES
from tests.testbed.shell import run

_CSI = "github.com/container-storage-interface/spec"
_SNAPSHOT_CLIENT = "github.com/kubernetes-csi/external-snapshotter/client/v8"
_KUBELET = "k8s.io/kubelet"
_PINNED_BY = SOURCES / "go" / "cluster"


def prepare() -> None:
    """Fetch and compile the protocols, and keep the VolumeSnapshot CRDs at hand, unless all of it is cached."""
    folder = _folder()
    if folder.exists():
        return
    aside = folder.with_suffix(f".new-{os.getpid()}")
    aside.mkdir(parents=True)
    shutil.copy(_module(_CSI) / "csi.proto", aside)
    registration = _module(_KUBELET) / "pkg" / "apis" / "pluginregistration" / "v1" / "api.proto"
    shutil.copy(registration, aside / "registration.proto")
    for crd in (_module(_SNAPSHOT_CLIENT) / "config" / "crd").glob("snapshot.storage.k8s.io_*.yaml"):
        shutil.copy(crd, aside)
    compiler = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={aside}", f"--python_out={aside}"]
    run(*compiler, "csi.proto", "registration.proto")
    aside.rename(folder)


def csi() -> Any:
    """The messages and services of CSI."""
    return _load("csi_pb2")


def registration() -> Any:
    """The messages and the service of the kubelet's plugin registration."""
    return _load("registration_pb2")


def snapshot_crds() -> list[Path]:
    """The manifests that define VolumeSnapshot, VolumeSnapshotContent and VolumeSnapshotClass."""
    return sorted(_folder().glob("*.yaml"))


@cache
def _load(name: str) -> Any:
    sys.path.append(str(_folder()))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(_folder()))


def _folder() -> Path:
    digest = hashlib.sha256(version("grpcio-tools").encode())
    digest.update((_PINNED_BY / "go.sum").read_bytes())
    return CACHE / "csi" / digest.hexdigest()[:16]


def _module(path: str) -> Path:
    return Path(json.loads(run("go", "-C", _PINNED_BY, "mod", "download", "-json", path))["Dir"])
