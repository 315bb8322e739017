"""Bundles and archives for tests, written in each of the ways that users' files come."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings

Json = dict[str, Any]

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For property tests that must not fail because the machine is busy."""

NODES = "resources/core/v1/nodes.json"
PODS = "resources/core/v1/pods.json"
CLAIMS = "resources/core/v1/persistentvolumeclaims.json"
CONFIG_MAPS = "resources/core/v1/configmaps.json"
CLASSES = "resources/storage.k8s.io/v1/storageclasses.json"


def node(name: str, **more: Any) -> Json:
    """A Node as the items of a typed List have it."""
    return {"metadata": {"name": name, **more}, "spec": {}, "status": {}}


def config_map(namespace: str, name: str, **data: str) -> Json:
    """A ConfigMap."""
    return {"metadata": {"name": name, "namespace": namespace}, "data": data}


def api_list(kind: str, items: Sequence[Any]) -> str:
    """A List on one line, as the API server sends it."""
    return json.dumps(
        {"kind": f"{kind}List", "apiVersion": "v1", "metadata": {}, "items": items}, separators=(",", ":")
    )


def kubectl_list(kind: str, items: Sequence[Any]) -> str:
    """A List as ``kubectl get -o json`` prints it: indented, keys sorted, each item with its kind."""
    kinded = [{"apiVersion": "v1", "kind": kind, **item} for item in items]
    whole = {"apiVersion": "v1", "items": kinded, "kind": "List", "metadata": {"resourceVersion": ""}}
    return json.dumps(whole, indent=4, sort_keys=True) + "\n"


def line_list(kind: str, items: Sequence[Any]) -> str:
    """A List as auditor writes it: each item on a line of its own."""
    lines = ",\n".join(json.dumps(item) for item in items)
    return f'{{"kind":"{kind}List","apiVersion":"v1","metadata":{{}},"items":[\n{lines}\n]}}\n'


def python_list(kind: str, items: Sequence[Any]) -> str:
    """A List as ``json.dump`` writes it without options."""
    return json.dumps({"items": items, "kind": f"{kind}List"})


LAYOUTS: dict[str, Callable[[str, Sequence[Any]], str]] = {
    "api": api_list,
    "kubectl": kubectl_list,
    "line": line_list,
    "python": python_list,
}


def write_folder(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """A bundle's folder with the given files."""
    root.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def member(name: str, content: str | bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    """A member of an archive; ``fields`` are set on its header."""
    data = content.encode() if isinstance(content, str) else content
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def write_archive(path: Path, members: Iterable[tuple[tarfile.TarInfo, bytes]]) -> Path:
    """A .tar.gz with the given members, sound or not."""
    with tarfile.open(path, "w:gz") as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data) if info.isreg() else None)
    return path


def pack(path: Path, files: Mapping[str, str | bytes], *, prefix: str = "") -> Path:
    """A .tar.gz with the given files."""
    return write_archive(path, (member(prefix + name, content) for name, content in files.items()))


def repack(path: Path, change: Callable[[bytes], bytes]) -> Path:
    """Change the tar inside a .tar.gz."""
    path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes()))))
    return path


def manifest(*resources: Json, files: Sequence[Json] = (), **more: Any) -> str:
    """A manifest.json."""
    return json.dumps(
        {
            "version": 1,
            "tool": {"name": "auditor", "version": "0"},
            "resources": [entry(**resource) for resource in resources],
            "files": files,
            **more,
        }
    )


def entry(path: str, status: str = "ok", **more: Any) -> Json:
    """A manifest's entry for the resource at a path."""
    _, group, version, name = path.split("/")
    plural = name.removesuffix(".json")
    return {"group": group, "version": version, "plural": plural, "status": status, **more}
