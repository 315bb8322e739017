"""The processes that the test bed started, by recorded id; only those are ever stopped."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.testbed.layout import LOGS, REPOSITORY, STATE
from tests.testbed.shell import in_netns

RECORD = STATE / "processes.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A process by its id and the moment it started, which together are never used twice."""

    pid: int
    started_ticks: int
    argv: list[str]
    netns: str | None = None


def start(
    name: str, argv: Sequence[str | Path], *, netns: str | None = None, env: Mapping[str, str] | None = None
) -> None:
    """Start a process in a session of its own, its output going to ``logs/<name>.log``, and record it."""
    stop(name)
    LOGS.mkdir(parents=True, exist_ok=True)
    words = [str(word) for word in argv]
    log = LOGS / f"{name}.log"
    pid = _spawn(in_netns(words, netns), log, {"PYTHONPATH": str(REPOSITORY), **os.environ, **(env or {})})
    ticks = _started_ticks(pid)
    if ticks is None:
        raise RuntimeError(f"{name} ended at once; see {log}")
    with _recording():
        records = recorded()
        records[name] = Recorded(pid=pid, started_ticks=ticks, argv=words, netns=netns)
        _write(records)


def _spawn(argv: list[str], log: Path, env: Mapping[str, str]) -> int:
    """Start a process that outlives this one; no Popen object, which would want to wait for it."""
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    return os.posix_spawnp(
        argv[0],
        argv,
        env,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
            *((os.POSIX_SPAWN_CLOSE, fd) for fd in _inherited()),
        ],
        setsid=True,
    )


def _inherited() -> list[int]:
    """File descriptors that a child would get, such as a lock that a caller of pytest holds."""
    open_now = [int(entry.name) for entry in Path("/proc/self/fd").iterdir() if int(entry.name) > 2]
    return [fd for fd in open_now if Path(f"/proc/self/fd/{fd}").exists() and os.get_inheritable(fd)]


def restart(name: str) -> None:
    """Start a recorded process again with the command it had."""
    record = recorded()[name]
    start(name, record.argv, netns=record.netns)


def stop(name: str, *, grace_seconds: float = 10) -> None:
    """Stop a recorded process and all of its session; a process that is gone already is fine."""
    record = recorded().get(name)
    if record is not None:
        _stop_all([record], grace_seconds=grace_seconds)


def forget(name: str) -> None:
    """Stop a recorded process for good: the test bed is whole without it."""
    stop(name)
    with _recording():
        records = recorded()
        records.pop(name, None)
        _write(records)


def stop_all(*, grace_seconds: float = 5) -> None:
    """Stop every recorded process and forget them."""
    _stop_all(list(recorded().values()), grace_seconds=grace_seconds)
    RECORD.unlink(missing_ok=True)


def send(name: str, signal_number: signal.Signals) -> None:
    """Send a signal to a recorded process.

    Raises:
        ProcessLookupError: it does not run.
    """
    record = recorded()[name]
    if not _runs(record):
        raise ProcessLookupError(f"{name} does not run")
    os.kill(record.pid, signal_number)


def runs(name: str) -> bool:
    """Whether a recorded process runs."""
    record = recorded().get(name)
    return record is not None and _runs(record)


def recorded() -> dict[str, Recorded]:
    """All recorded processes by name, running or not."""
    if not RECORD.exists():
        return {}
    return {name: Recorded(**fields) for name, fields in json.loads(RECORD.read_text()).items()}


def kill_cgroup(cgroup: str, *, timeout_seconds: float = 20) -> None:
    """Kill what runs in a cgroup of the test bed, and below it, and remove it from every controller.

    Raises:
        TimeoutError: something in it would not die.
    """
    tops = [controller / cgroup.strip("/") for controller in Path("/sys/fs/cgroup").iterdir()]
    deadline = time.monotonic() + timeout_seconds
    while remaining := [top for top in tops if top.is_dir()]:
        if time.monotonic() > deadline:
            raise TimeoutError(f"cgroup {cgroup} is still in use: {remaining}")
        for top in remaining:
            for folder, _, _ in os.walk(top, topdown=False):  # which passes over what vanishes meanwhile
                _empty_and_remove(Path(folder))
        time.sleep(0.05)


def _empty_and_remove(folder: Path) -> None:
    with suppress(OSError):  # it may be gone, or its processes may take a moment: the next round tells
        for pid in (folder / "cgroup.procs").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        folder.rmdir()


def _stop_all(records: Sequence[Recorded], *, grace_seconds: float) -> None:
    waiting = [record for record in records if _runs(record)]
    for record in waiting:
        _signal_session(record, signal.SIGCONT)
        _signal_session(record, signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    while waiting and time.monotonic() < deadline:
        time.sleep(0.05)
        waiting = [record for record in waiting if _runs(record)]
    for record in waiting:
        _signal_session(record, signal.SIGKILL)
    while any(_runs(record) for record in waiting):
        time.sleep(0.05)


def _signal_session(record: Recorded, signal_number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(record.pid, signal_number)


def _runs(record: Recorded) -> bool:
    return _started_ticks(record.pid) == record.started_ticks


def _started_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None if it does not run (any more)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if fields[0] == "Z":
        _reap(pid)
        return None
    return int(fields[19])


def _reap(pid: int) -> None:
    with suppress(ChildProcessError):  # somebody else's child
        os.waitpid(pid, os.WNOHANG)


@contextmanager
def _recording() -> Iterator[None]:
    """Nodes are started side by side, by threads and sometimes by processes: one writes at a time."""
    with RECORD.with_suffix(".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _write(records: Mapping[str, Recorded]) -> None:
    aside = RECORD.with_suffix(".new")
    aside.write_text(json.dumps({name: asdict(record) for name, record in records.items()}, indent=1))
    aside.replace(RECORD)
