"""What the driver knows of its volumes and snapshots: a JSON file next to each image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from tests.testbed.csi.layout import FOLDER

_VOLUMES = FOLDER / "volumes"
_SNAPSHOTS = FOLDER / "snapshots"


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """A volume.

    Attributes:
        id: its handle.
        capacity_bytes: size of its image.
        fs_type: file system in the image.
        zone: the only zone whose nodes reach it; None if all do.
        node: the node that it is attached to.
        mutable_parameters: of its VolumeAttributesClass, as last set.
        snapshot: the snapshot that it started as.
    """

    id: str
    capacity_bytes: int
    fs_type: str
    zone: str | None = None
    node: str | None = None
    mutable_parameters: dict[str, str] = {}
    snapshot: str | None = None

    @property
    def image(self) -> Path:
        """Its bytes."""
        return _VOLUMES / f"{self.id}.img"


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot.

    Attributes:
        id: its handle.
        volume: the volume that it was taken of.
        size_bytes: least size of a volume made from it.
        fs_type: file system in the image.
        taken_at_seconds: when, since 1970.
    """

    id: str
    volume: str
    size_bytes: int
    fs_type: str
    taken_at_seconds: int

    @property
    def image(self) -> Path:
        """Its bytes."""
        return _SNAPSHOTS / f"{self.id}.img"


def volume(handle: str) -> Volume | None:
    """The volume of a handle, if there is one."""
    path = _VOLUMES / f"{handle}.json"
    return msgspec.json.decode(path.read_bytes(), type=Volume) if path.exists() else None


def snapshot(handle: str) -> Snapshot | None:
    """The snapshot of a handle, if there is one."""
    path = _SNAPSHOTS / f"{handle}.json"
    return msgspec.json.decode(path.read_bytes(), type=Snapshot) if path.exists() else None


def volumes() -> Iterator[Volume]:
    """All volumes."""
    return (msgspec.json.decode(path.read_bytes(), type=Volume) for path in sorted(_VOLUMES.glob("*.json")))


def save(thing: Volume | Snapshot) -> None:
    """Keep a volume or snapshot whose image is there; with it the volume or snapshot exists."""
    path = thing.image.with_suffix(".json")
    aside = path.with_suffix(".json.new")
    aside.write_bytes(msgspec.json.encode(thing))
    aside.replace(path)


def remove(thing: Volume | Snapshot) -> None:
    """Forget a volume or snapshot and its bytes."""
    thing.image.unlink(missing_ok=True)
    thing.image.with_suffix(".json").unlink(missing_ok=True)


def make_folders() -> None:
    """Make the folders of images."""
    for folder in (_VOLUMES, _SNAPSHOTS):
        folder.mkdir(parents=True, exist_ok=True)
