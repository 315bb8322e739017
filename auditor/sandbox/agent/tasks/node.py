"""What a container finds on its node: limits, kernel settings, cgroups, swap, disks, names, and the clock.

One observation. What cannot be read is missing from it.

Arguments:
    scratch: the folder whose disk is described.
    clock_seconds: for how long the API server is asked for its time; 0: it is not.
"""

from __future__ import annotations

import os
import platform
import resource
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..clock import read_clock

SYSCTLS = (
    "fs.aio-max-nr",
    "fs.file-max",
    "fs.inotify.max_user_instances",
    "fs.inotify.max_user_watches",
    "fs.nr_open",
    "kernel.pid_max",
    "kernel.threads-max",
    "net.core.netdev_max_backlog",
    "net.core.rmem_max",
    "net.core.somaxconn",
    "net.core.wmem_max",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "net.netfilter.nf_conntrack_max",
    "vm.dirty_background_ratio",
    "vm.dirty_ratio",
    "vm.max_map_count",
    "vm.overcommit_memory",
    "vm.swappiness",
)
"""Those that containers may read, and that systems for data care about."""

LIMITS = {
    "core": resource.RLIMIT_CORE,
    "memlock": resource.RLIMIT_MEMLOCK,
    "nofile": resource.RLIMIT_NOFILE,
    "nproc": resource.RLIMIT_NPROC,
    "stack": resource.RLIMIT_STACK,
}

SHARED_MEMORY = "/dev/shm"  # noqa: S108  what is looked at is how large the runtime made it

_NO_LIMIT_BYTES = 1 << 60
"""What cgroup v1 writes where there is no limit is larger than any memory."""

_KILOBYTE = 1024


def run(arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Look around once."""
    found = {
        **observe(Path("/")),
        "file_systems": file_systems({"scratch": arguments["scratch"], "shm": SHARED_MEMORY}),
    }
    seconds = arguments.get("clock_seconds", 0)
    if seconds:
        found["clock"] = read_clock(seconds)
    yield found


def observe(root: Path) -> dict[str, Any]:
    """All that is read from files below a root, and of the process itself."""
    system = platform.uname()
    return {
        "machine": system.machine,
        "kernel": system.release,
        "python": platform.python_version(),
        "user_id": os.getuid(),
        "limits": {name: _limit(which) for name, which in LIMITS.items()},
        "sysctls": dict(_sysctls(root)),
        "cpu": cpu(root),
        "memory": memory(root),
        "cgroup": cgroup(root),
        "swap": swap(root),
        "huge_pages": dict(_huge_pages(root)),
        "transparent_huge_pages": _chosen(_text(root / "sys/kernel/mm/transparent_hugepage/enabled")),
        "transparent_huge_pages_defrag": _chosen(_text(root / "sys/kernel/mm/transparent_hugepage/defrag")),
        "resolv_conf": resolv_conf(_text(root / "etc/resolv.conf")),
    }


def resolv_conf(text: str | None) -> dict[str, list[str]] | None:
    """Name servers, search list and options; the last search list counts, as the resolver has it."""
    if text is None:
        return None
    found: dict[str, list[str]] = {"nameservers": [], "search": [], "options": []}
    for line in text.splitlines():
        words = line.split("#")[0].split(";")[0].split()
        if len(words) < 2:
            continue
        if words[0] == "nameserver":
            found["nameservers"].append(words[1])
        elif words[0] in ("search", "domain"):
            found["search"] = words[1:]
        elif words[0] == "options":
            found["options"] += words[1:]
    return found


def cpu(root: Path) -> dict[str, Any]:
    """How many processors the node has, and which."""
    lines = (_text(root / "proc/cpuinfo") or "").splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    return {"count": os.cpu_count() or 0, "model": models[0] if models else ""}


def memory(root: Path) -> dict[str, int]:
    """Total and available memory of the node, in bytes."""
    figures = _meminfo(root)
    names = {"total_bytes": "MemTotal", "available_bytes": "MemAvailable"}
    return {name: figures[key] * _KILOBYTE for name, key in names.items() if key in figures}


def cgroup(root: Path) -> dict[str, Any]:
    """The version of the hierarchy that limits memory; 0 where none is to be seen."""
    if (root / "sys/fs/cgroup/cgroup.controllers").exists():
        return {"version": 2}
    if (root / "sys/fs/cgroup/memory").exists():
        return {"version": 1}
    return {"version": 0}


def swap(root: Path) -> dict[str, Any]:
    """The node's swap, and how much of it this container may use: -1 where nothing limits it."""
    figures = _meminfo(root)
    found: dict[str, Any] = {}
    if "SwapTotal" in figures:
        total, free = figures["SwapTotal"], figures.get("SwapFree", 0)
        found = {"total_bytes": total * _KILOBYTE, "used_bytes": (total - free) * _KILOBYTE}
    allowed = _swap_allowed(root)
    if allowed is not None:
        found["allowed_bytes"] = allowed
    return found


def file_systems(paths: dict[str, str], mounts: str = "/proc/self/mountinfo") -> dict[str, dict[str, Any]]:
    """Size, room and kind of the file systems behind folders; a folder that is not there is left out."""
    table = dict(_mounts(_text(Path(mounts)) or ""))
    found = {}
    for name, path in paths.items():
        try:
            stat = os.statvfs(path)
        except OSError:
            continue
        kind, source = _mount_of(path, table)
        found[name] = {
            "type": kind,
            "source": source,
            "size_bytes": stat.f_blocks * stat.f_frsize,
            "free_bytes": stat.f_bavail * stat.f_frsize,
            "inodes": stat.f_files,
            "inodes_free": stat.f_favail,
        }
    return found


def _limit(which: int) -> dict[str, int]:
    soft, hard = resource.getrlimit(which)
    return {
        "soft": -1 if soft == resource.RLIM_INFINITY else soft,
        "hard": -1 if hard == resource.RLIM_INFINITY else hard,
    }


def _sysctls(root: Path) -> Iterator[tuple[str, str]]:
    for name in SYSCTLS:
        value = _text(root / "proc/sys" / name.replace(".", "/"))
        if value is not None:
            yield name, " ".join(value.split())


def _huge_pages(root: Path) -> Iterator[tuple[str, int]]:
    """How many there are, by size as Kubernetes writes it."""
    for folder in _folders(root / "sys/kernel/mm/hugepages"):
        count = _text(folder / "nr_hugepages")
        size = folder.name.replace("hugepages-", "").replace("kB", "")
        if count is not None and size.isdigit():
            megabytes = int(size) // _KILOBYTE
            yield (f"{megabytes // _KILOBYTE}Gi" if megabytes >= _KILOBYTE else f"{megabytes}Mi"), int(count)


def _swap_allowed(root: Path) -> int | None:
    base = root / "sys/fs/cgroup"
    v2 = _text(base / "memory.swap.max")
    if v2 is not None:
        return -1 if v2 == "max" else int(v2)
    both = _text(base / "memory/memory.memsw.limit_in_bytes")
    alone = _text(base / "memory/memory.limit_in_bytes")
    if both is None or alone is None:
        return None
    return -1 if int(both) >= _NO_LIMIT_BYTES else max(0, int(both) - int(alone))


def _meminfo(root: Path) -> dict[str, int]:
    figures = {}
    for line in (_text(root / "proc/meminfo") or "").splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdigit():
            figures[name] = int(words[0])
    return figures


def _mounts(text: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """Kind and source by mount point."""
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        fields, tail = left.split(), right.split()
        if len(fields) > 4 and len(tail) > 1:
            yield fields[4], (tail[0], tail[1])


def _mount_of(path: str, table: dict[str, tuple[str, str]]) -> tuple[str, str]:
    for folder in (Path(path), *Path(path).parents):
        if str(folder) in table:
            return table[str(folder)]
    return "", ""


def _chosen(text: str | None) -> str:
    """The word in brackets of ``always [madvise] never``."""
    return next((word[1:-1] for word in (text or "").split() if word.startswith("[")), "")


def _folders(path: Path) -> Iterable[Path]:
    try:
        return sorted(path.iterdir())
    except OSError:
        return ()


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
