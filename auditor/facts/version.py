"""Versions of Kubernetes, as servers and kubelets of all vendors write them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import msgspec

from auditor.facts.parts import raw
from auditor.facts.store import Facts

SERVER_VERSION = raw("version.json")
"""What the API server says of its build."""

_VERSION = re.compile(r"v?(?P<major>\d+)\.(?P<minor>\d+)(?:\.(?P<patch>\d+))?(?P<suffix>[-+].*)?")


@dataclass(frozen=True, slots=True, order=True)
class KubeVersion:
    """A version of Kubernetes. Its order is that of releases; what a vendor adds decides nothing.

    Attributes:
        major: 1, until there is a Kubernetes 2.
        minor: 35 of ``v1.35.4``.
        patch: 4 of ``v1.35.4``.
        suffix: what a vendor or a pre-release adds, with its sign: ``-eks-113cf36``, ``+k3s1``, ``-rc.1``.
    """

    major: int
    minor: int
    patch: int = 0
    suffix: str = field(default="", compare=False)

    def __str__(self) -> str:
        """As the server writes it: ``v1.35.4-eks-113cf36``."""
        return f"v{self.major}.{self.minor}.{self.patch}{self.suffix}"

    @property
    def release(self) -> str:
        """The minor release that it belongs to: ``1.35``."""
        return f"{self.major}.{self.minor}"

    def minors_behind(self, other: KubeVersion) -> int:
        """How many minor releases ``other`` is newer, negative where it is older.

        Raises:
            ValueError: the major versions differ, so that minor releases cannot be counted.
        """
        if self.major != other.major:
            raise ValueError(f"{self} and {other} differ in the major version")
        return other.minor - self.minor


class _Build(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What ``GET /version`` answers, or ``kubectl version --output json`` prints around it."""

    git_version: str = ""
    server_version: _Build | None = None


def parse_version(text: str) -> KubeVersion:
    """The version that ``gitVersion`` or a node's ``kubeletVersion`` states.

    Raises:
        ValueError: it names no release; a build without a stamp says v0.0.0, and what only plays a kubelet its own.
    """
    match = _VERSION.fullmatch(text.strip())
    if match is None or match["major"] == "0":
        raise ValueError(f"{text!r} is no version of Kubernetes")
    return KubeVersion(int(match["major"]), int(match["minor"]), int(match["patch"] or 0), match["suffix"] or "")


def server_version(facts: Facts) -> KubeVersion:
    """The API server's version, of a check that reads :data:`SERVER_VERSION`.

    Raises:
        UnreadableError: the server's answer was not read.
        ValueError: it names no release.
    """
    text = facts.text("version.json")
    try:
        build = msgspec.json.decode(text, type=_Build)
    except msgspec.DecodeError as error:
        raise ValueError(f"raw/version.json is not what an API server answers ({error})") from error
    return parse_version((build.server_version or build).git_version)
