"""kubeconfig files for the parts of the test bed and for its users."""

from __future__ import annotations

import base64
from pathlib import Path

import yaml

from tests.testbed.layout import API_SERVER
from tests.testbed.pki import AUTHORITY, KeyPair


def write(path: Path, *, credentials: KeyPair | str, server: str = API_SERVER, name: str = "testbed") -> Path:
    """Write a kubeconfig with a client certificate or a token; everything is inside the file."""
    if isinstance(credentials, str):
        user = {"token": credentials}
    else:
        user = {
            "client-certificate-data": _inline(credentials.certificate),
            "client-key-data": _inline(credentials.key),
        }
    cluster = {"server": server, "certificate-authority-data": _inline(AUTHORITY.certificate)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config))
    return path


def _inline(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
