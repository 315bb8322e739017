"""The agent's tasks on volumes: writing and reading, sharing with locks, measuring."""

from __future__ import annotations

import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import msgspec
import pytest

from auditor.facts.observations.storage import DiskSpeed
from auditor.sandbox.agent.tasks import disk, share, volume

FILE_BYTES = 16 * 1024**2
CLAT_NS = {"max": 4_000_000, "percentile": {"50.000000": 1_000_000, "90.000000": 2_000_000, "99.000000": 3_000_000}}
"""As fio 3.33 writes it."""


class TestVolume:
    def test_what_was_written_is_read_again(self, tmp_path: Path) -> None:
        written = volume.write(tmp_path, 3 * 1024**2 + 5, "seed")
        [read] = volume.run({"path": str(tmp_path), "mode": "read"})

        assert read["sha256"] == written["sha256"]
        assert read["bytes"] == written["bytes"] == 3 * 1024**2 + 5
        assert read["size_bytes"] > 0

    def test_every_volume_has_bytes_of_its_own(self, tmp_path: Path) -> None:
        assert volume.write(tmp_path, 100, "a")["sha256"] != volume.write(tmp_path, 100, "b")["sha256"]

    def test_growth_is_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        sizes = iter([100, 100, 200, 200])
        monkeypatch.setattr(volume, "size_bytes", lambda _: next(sizes))
        monkeypatch.setattr(volume, "_LOOK_EVERY_SECONDS", 0.001)

        assert next(volume.watch(tmp_path, 10)) == {"event": "size", "size_bytes": 200}


def play(role: str, path: str) -> dict[str, Any]:
    [said] = share.run({"path": path, "role": role, "seconds": 20})
    return said


class TestShare:
    def test_two_processes_see_each_other_and_respect_locks(self, tmp_path: Path) -> None:
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            first, second = pool.map(play, ("first", "second"), (str(tmp_path),) * 2)

        assert first == {"role": "first", "met": True}
        assert second == {"role": "second", "met": True, "read": True, "kept_out": True, "locked_later": True}

    def test_nobody_there_is_told(self, tmp_path: Path) -> None:
        assert share.second(tmp_path, 0.01) == {"role": "second", "met": False}


class TestDisk:
    def test_its_own_measurement_is_complete(self, tmp_path: Path) -> None:
        figures = {"tool": "agent", "depth": 1, "file_bytes": FILE_BYTES}

        speed = msgspec.convert(figures | disk.own(tmp_path / "file", FILE_BYTES, 0.05), DiskSpeed)

        assert speed.sequential_write_bytes_per_second > 0
        assert min(speed.random_read.count, speed.random_write.count, speed.sync.count) > 0
        assert speed.sync.p50_seconds <= speed.sync.p99_seconds <= speed.sync.max_seconds

    @pytest.mark.skipif(shutil.which("fio") is None, reason="fio is not installed")
    def test_fio_gives_the_same_figures(self, tmp_path: Path) -> None:
        [figures] = disk.run({"path": str(tmp_path), "seconds": 0.1, "file_bytes": FILE_BYTES})

        assert msgspec.convert(figures, DiskSpeed).file_bytes == FILE_BYTES
        assert not list(tmp_path.iterdir())

    def test_fio_that_fails_is_replaced_and_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shutil, "which", lambda _: sys.executable)

        def refuse(*_: Any) -> dict[str, Any]:
            raise ValueError("no io_setup here")

        monkeypatch.setattr(disk, "_fio", refuse)

        [figures] = disk.run({"path": str(tmp_path), "seconds": 0.01, "file_bytes": FILE_BYTES})

        assert (figures["tool"], figures["note"]) == ("agent", "fio failed: no io_setup here")

    def test_percentiles_of_fio_are_seconds(self) -> None:
        found = disk.of_fio(CLAT_NS, 21)

        assert found == {
            "count": 21, "p50_seconds": 0.001, "p90_seconds": 0.002, "p99_seconds": 0.003, "max_seconds": 0.004,
        }  # fmt: skip

    def test_a_full_disk_is_an_error_with_a_reason(self, tmp_path: Path) -> None:
        with pytest.raises(OSError, match="has room for"):
            list(disk.run({"path": str(tmp_path), "seconds": 0.01, "file_bytes": 1024}))
