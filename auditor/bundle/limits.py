"""How much a reader takes from a bundle before it takes it for a bomb."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds that no honest bundle reaches.

    Attributes:
        item_bytes: one object of a List; etcd holds none above 1.5 MiB by default.
        whole_file_bytes: a file that is loaded whole: the manifest, a raw answer, observations, measurements.
        archive_bytes: all that an archive unpacks to …
        archive_ratio: … or this many times its packed size, whichever is more.
        members: files and folders of an archive.
    """

    item_bytes: int = 16 * MIB
    whole_file_bytes: int = 64 * MIB
    archive_bytes: int = 1024 * MIB
    archive_ratio: int = 200
    members: int = 100_000

    def unpacked_bytes(self, packed_bytes: int) -> int:
        """The most that an archive of that size may unpack to."""
        return max(self.archive_bytes, self.archive_ratio * packed_bytes)
