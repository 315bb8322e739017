"""File systems in image files: made, mounted through loop devices, grown while mounted, copied while frozen."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.testbed.shell import run

MIB = 1 << 20
MINIMUM_BYTES = {"xfs": 300 * MIB, "ext4": 16 * MIB}
"""The smallest image of each file system that the driver knows.

XFS grows while mounted with CAP_SYS_ADMIN alone; ext4 needs CAP_SYS_RESOURCE, which root in a container may lack.
"""

_LOOP_MAJOR = 7
_LOOP_CTL_GET_FREE = 0x4C82
_FIFREEZE = 0xC0045877
_FITHAW = 0xC0045878


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A line of mountinfo."""

    device: str
    point: Path


def make(image: Path, *, size_bytes: int, fs_type: str) -> None:
    """Make a sparse image with an empty file system."""
    with image.open("wb") as stream:
        stream.truncate(size_bytes)
    run(f"mkfs.{fs_type}", "-q", image)


def mount(image: Path, target: Path, *, fs_type: str, options: tuple[str, ...] = ()) -> None:
    """Mount an image and grow its file system to the image's size; its loop device goes when the last mount goes."""
    if fs_type == "ext4":  # it may have been copied from a smaller volume; unmounted, it grows without more rights
        run("e2fsck", "-f", "-p", image, check=False)
        run("resize2fs", image)
    _provide_loop_device()
    # A restored snapshot has the UUID of its source, which XFS would not mount next to it.
    own = ("loop", "nouuid") if fs_type == "xfs" else ("loop",)
    run("mount", "-t", fs_type, "-o", ",".join((*own, *options)), image, target)
    if fs_type == "xfs":
        run("xfs_growfs", target)


def bind(source: Path, target: Path, *, read_only: bool) -> None:
    """Show a mounted folder in another place."""
    run("mount", "--bind", source, target)
    if read_only:
        run("mount", "-o", "remount,bind,ro", target)


def unmount(point: Path) -> None:
    """Unmount a folder; one that is not mounted is fine."""
    while any(mount.point == point for mount in mounts()):
        run("umount", point)


def grow(image: Path, *, fs_type: str) -> None:
    """Make a mounted file system as large as its image has become."""
    for device in loop_devices(image):
        run("losetup", "--set-capacity", device)
        if fs_type == "xfs":
            run("xfs_growfs", mount_points(image)[0])
        else:
            run("resize2fs", device)


def copy(image: Path, to: Path) -> None:
    """Copy an image, sparse; writes to it wait meanwhile where it is mounted."""
    aside = to.with_suffix(".new")
    with frozen(image):
        run("cp", "--reflink=auto", "--sparse=always", image, aside)
    aside.replace(to)


@contextmanager
def frozen(image: Path) -> Iterator[None]:
    """Hold back writes to an image's file system, all earlier ones being in the image; nothing if it is not mounted."""
    points = mount_points(image)
    if not points:
        yield
        return
    handle = os.open(points[0], os.O_RDONLY | os.O_DIRECTORY)  # held, so that nobody unmounts it frozen
    try:
        fcntl.ioctl(handle, _FIFREEZE, 0)
        try:
            yield
        finally:
            fcntl.ioctl(handle, _FITHAW, 0)
    finally:
        os.close(handle)


def release_all(folder: Path) -> None:
    """Thaw and unmount every image below a folder and detach its loop device, whatever state a crash left it in."""
    listing = run("losetup", "--noheadings", "--list", "--output", "NAME,BACK-FILE")
    for line in listing.splitlines():
        device, _, image = line.strip().partition(" ")
        if not image.strip().startswith(f"{folder}/"):
            continue
        for point in _points_of(device):
            with suppress(OSError):  # it was not frozen
                handle = os.open(point, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    fcntl.ioctl(handle, _FITHAW, 0)
                finally:
                    os.close(handle)
            run("umount", "--lazy", point, check=False)
        run("losetup", "--detach", device, check=False)


def loop_devices(image: Path) -> list[str]:
    """The loop devices that show an image."""
    return run("losetup", "--noheadings", "--output", "NAME", "--associated", image).split()


def mount_points(image: Path) -> list[Path]:
    """Where an image is mounted."""
    return [point for device in loop_devices(image) for point in _points_of(device)]


def mounts() -> list[Mount]:
    """All mounts that this process sees."""
    lines = (line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return [Mount(device=fields[2], point=Path(fields[4])) for fields in lines]


def _points_of(device: str) -> list[Path]:
    number = Path(device).stat().st_rdev
    name = f"{os.major(number)}:{os.minor(number)}"
    return [mount.point for mount in reversed(mounts()) if mount.device == name]


def _provide_loop_device() -> None:
    """See to a device file for the next free loop device: in a container /dev holds only the first few."""
    control = os.open("/dev/loop-control", os.O_RDWR)
    try:
        number = fcntl.ioctl(control, _LOOP_CTL_GET_FREE)
    finally:
        os.close(control)
    device = Path(f"/dev/loop{number}")
    if not device.exists():
        os.mknod(device, stat.S_IFBLK | 0o600, os.makedev(_LOOP_MAJOR, number))
