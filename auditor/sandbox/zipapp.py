"""The probe agent as one file that any Python 3.9 runs: made from the installed sources, the same bytes every time."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING

from auditor.cluster import Manifest
from auditor.facts.kube import ConfigMap

if TYPE_CHECKING:
    from auditor.sandbox.space import Sandbox

AGENT_FILE = "agent.pyz"
"""Its name in the ConfigMap, and so in the pods."""

_LIBRARY = "dnspython"
_PACKAGE = "agent"
_MAIN = "import runpy\n\nrunpy.run_module('agent', run_name='__main__', alter_sys=False)\n"
_OLDEST = (1980, 1, 1, 0, 0, 0)
"""The time that a zip file gives to all its members: without a real one the bytes do not change."""

_READABLE = 0o644 << 16


@cache
def agent_zipapp() -> bytes:
    """``agent.pyz``, with dnspython in it."""
    members = {"__main__.py": _MAIN.encode(), **dict(_agent()), **dict(_library())}
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, _OLDEST)
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, _READABLE
            archive.writestr(info, members[name])
    return written.getvalue()


def agent_config_map_name(sandbox: Sandbox) -> str:
    """The ConfigMap that holds the agent of a run."""
    return sandbox.name("agent")


def agent_config_map(sandbox: Sandbox) -> Manifest:
    """The agent itself, for all pods of a run."""
    return {
        "apiVersion": "v1",
        "kind": ConfigMap.api.kind,
        "metadata": {"name": agent_config_map_name(sandbox)},
        "binaryData": {AGENT_FILE: base64.b64encode(agent_zipapp()).decode()},
    }


def _agent() -> Iterator[tuple[str, bytes]]:
    yield from _sources(files("auditor.sandbox.agent"), _PACKAGE)


def _sources(folder: Traversable, name: str) -> Iterator[tuple[str, bytes]]:
    for item in folder.iterdir():
        path = f"{name}/{item.name}"
        if item.is_dir():
            yield from _sources(item, path)
        elif item.name.endswith(".py"):
            yield path, item.read_bytes()


def _library() -> Iterator[tuple[str, bytes]]:
    """The modules of dnspython, and its licence, as its distribution lists them."""
    for path in metadata.files(_LIBRARY) or ():
        is_licence = path.parts[0].endswith(".dist-info") and path.name.startswith("LICENSE")
        if is_licence or (path.parts[0] == "dns" and path.suffix == ".py"):
            yield str(path), path.read_binary()
