"""How fast a disk is: sequential writes, random reads and writes of 4 KiB, and writes of 8 KiB that are synced each.

With fio where it is on PATH and works, with this process's own system calls otherwise. One observation; the figures
of both have the same names.

Arguments:
    path: a folder on the disk.
    seconds: of each of the three measurements, which follow each other.
    file_bytes: of the file that is written and read.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import random
import shutil
import subprocess  # fio is run with fixed arguments
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

DEPTH = 16
"""Requests that are under way at one time in the random measurement, and in the sequential one of fio."""

_NAME = "auditor-disk"
_SEQUENTIAL_BYTES = 1024 * 1024
_RANDOM_BYTES = 4096
_SYNC_BYTES = 8192
_PERCENTILES = (50, 90, 99)
_SPARE_SECONDS = 60.0
_LEAST_BYTES = 16 * _SEQUENTIAL_BYTES

_NANO = 1e9


def run(arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Measure, and remove the file."""
    file = Path(arguments["path"]) / _NAME
    stat = os.statvfs(file.parent)
    room = stat.f_bavail * stat.f_frsize // 2
    size = min(int(arguments["file_bytes"]), room) // _SEQUENTIAL_BYTES * _SEQUENTIAL_BYTES
    if size < _LEAST_BYTES:
        raise OSError(f"{file.parent} has room for {2 * room} bytes only")
    try:
        yield {"file_bytes": size, "depth": DEPTH, **measure(file, size, float(arguments["seconds"]))}
    finally:
        if file.exists():
            file.unlink()


def measure(file: Path, size: int, seconds: float) -> dict[str, Any]:
    """With fio if that can be; the note says why not."""
    if shutil.which("fio") is None:
        return {"tool": "agent", **own(file, size, seconds)}
    try:
        return {"tool": "fio", "direct": True, **with_fio(file, size, seconds)}
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        said = getattr(error, "stderr", "") or str(error)
        return {"tool": "agent", "note": f"fio failed: {said.strip()[-300:]}", **own(file, size, seconds)}


def with_fio(file: Path, size: int, seconds: float) -> dict[str, Any]:
    """Three jobs, one after another."""
    at_depth = ["--direct=1", "--ioengine=libaio", f"--iodepth={DEPTH}"]
    first = _fio(file, size, seconds, "--rw=write", f"--bs={_SEQUENTIAL_BYTES}", *at_depth)
    mixed = _fio(file, size, seconds, "--rw=randrw", f"--bs={_RANDOM_BYTES}", *at_depth)
    synced = _fio(file, size, seconds, "--rw=write", f"--bs={_SYNC_BYTES}", "--ioengine=psync", "--fdatasync=1")
    return {
        "sequential_write_bytes_per_second": first["write"]["bw_bytes"],
        "random_read_iops": mixed["read"]["iops"],
        "random_write_iops": mixed["write"]["iops"],
        "random_read": of_fio(mixed["read"]["clat_ns"], mixed["read"]["total_ios"]),
        "random_write": of_fio(mixed["write"]["clat_ns"], mixed["write"]["total_ios"]),
        "sync": of_fio(synced["sync"]["lat_ns"], synced["write"]["total_ios"]),
        "synced_writes_per_second": synced["write"]["iops"],
    }


def of_fio(figures: dict[str, Any], count: int) -> dict[str, Any]:
    """Latencies in seconds, of one section of fio's JSON."""
    named = {f"p{percentile}_seconds": figures["percentile"][f"{percentile:.6f}"] for percentile in _PERCENTILES}
    found = {name: nanoseconds / _NANO for name, nanoseconds in {**named, "max_seconds": figures["max"]}.items()}
    return {"count": int(count), **found}


def _fio(file: Path, size: int, seconds: float, *options: str) -> dict[str, Any]:
    command = [
        "fio",
        "--name=auditor",
        f"--filename={file}",
        f"--size={size}",
        f"--runtime={seconds:g}",
        "--time_based",
        "--thread",
        "--output-format=json",
        f"--percentile_list={':'.join(map(str, _PERCENTILES))}",
        *options,
    ]
    limit = 2 * seconds + _SPARE_SECONDS
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=limit)  # noqa: S603
    found: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])["jobs"][0]
    if found["error"]:
        raise OSError(found["error"], os.strerror(found["error"]))
    return found


def own(file: Path, size: int, seconds: float) -> dict[str, Any]:
    """The same, measured here; past the page cache where the file system can, with O_DSYNC where it cannot."""
    direct = _can_be_direct(file)
    flags = os.O_DIRECT if direct else os.O_DSYNC
    speed = _sequential(file, size, seconds, flags)
    reads, writes, took = _random(file, size, seconds, flags)
    synced, sync_took = _synced(file, size, seconds)
    return {
        "direct": direct,
        "sequential_write_bytes_per_second": speed,
        "random_read_iops": len(reads) / took,
        "random_write_iops": len(writes) / took,
        "random_read": latencies(reads),
        "random_write": latencies(writes),
        "sync": latencies(synced),
        "synced_writes_per_second": len(synced) / sync_took,
    }


def latencies(samples: Sequence[float]) -> dict[str, Any]:
    """Quantiles by the nearest rank."""
    ranked = sorted(samples)
    found = {f"p{p}_seconds": ranked[max(0, math.ceil(p / 100 * len(ranked)) - 1)] for p in _PERCENTILES}
    return {"count": len(ranked), **found, "max_seconds": ranked[-1]}


def _can_be_direct(file: Path) -> bool:
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_DIRECT, 0o600)
    except OSError:
        return False
    try:
        os.pwrite(descriptor, _block(_RANDOM_BYTES), 0)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _sequential(file: Path, size: int, seconds: float, flags: int) -> float:
    """Bytes per second; the whole file once at least, so that the random measurement finds it."""
    block = _block(_SEQUENTIAL_BYTES)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | flags, 0o600)
    try:
        written, started = 0, time.monotonic()
        while written < size or time.monotonic() < started + seconds:
            written += os.pwrite(descriptor, block, written % size)
        os.fsync(descriptor)
        return written / (time.monotonic() - started)
    finally:
        os.close(descriptor)


def _random(file: Path, size: int, seconds: float, flags: int) -> tuple[list[float], list[float], float]:
    """Seconds of each read and write, and of all: as many threads as requests shall be under way."""
    descriptor = os.open(file, os.O_RDWR | flags)
    started = time.monotonic()
    try:
        with ThreadPoolExecutor(DEPTH) as pool:
            jobs = [pool.submit(_one_random, descriptor, size, started + seconds, seed) for seed in range(DEPTH)]
            found = [job.result() for job in jobs]
    finally:
        os.close(descriptor)
    took = time.monotonic() - started
    return [s for reads, _ in found for s in reads], [s for _, writes in found for s in writes], took


def _one_random(descriptor: int, size: int, ends: float, seed: int) -> tuple[list[float], list[float]]:
    places, block = random.Random(seed), _block(_RANDOM_BYTES)  # noqa: S311  where to read need not be secret
    reads: list[float] = []
    writes: list[float] = []
    while time.monotonic() < ends or not (reads and writes):
        offset = places.randrange(size // _RANDOM_BYTES) * _RANDOM_BYTES
        started = time.monotonic()
        if len(reads) <= len(writes):
            os.preadv(descriptor, [block], offset)
            reads.append(time.monotonic() - started)
        else:
            os.pwrite(descriptor, block, offset)
            writes.append(time.monotonic() - started)
    return reads, writes


def _synced(file: Path, size: int, seconds: float) -> tuple[list[float], float]:
    """Seconds of each fdatasync after a write, and of all."""
    block = bytes(_SYNC_BYTES)
    descriptor = os.open(file, os.O_RDWR)
    samples: list[float] = []
    started = time.monotonic()
    try:
        while time.monotonic() < started + seconds or not samples:
            os.pwrite(descriptor, block, len(samples) * _SYNC_BYTES % size)
            begun = time.monotonic()
            os.fdatasync(descriptor)
            samples.append(time.monotonic() - begun)
    finally:
        os.close(descriptor)
    return samples, time.monotonic() - started


def _block(size: int) -> mmap.mmap:
    """Bytes at the start of a page, as O_DIRECT wants them; random, lest a disk compresses them away."""
    block = mmap.mmap(-1, size)
    block.write(os.urandom(size))
    return block
