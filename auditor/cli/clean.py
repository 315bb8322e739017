"""`auditor clean`."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

import click

from auditor.cli.options import FILE, example, logging_options
from auditor.cli.output import note, progress, write_table, write_text
from auditor.cluster import ApiServer, Connection, Limits, Objects, RequestError, connect
from auditor.cluster.pace import Deadline
from auditor.cluster.requests import unreachable
from auditor.errors import ClusterError, UsageError
from auditor.sandbox.clean import Removal, remove_run
from auditor.sandbox.runs import FoundRun, find_runs
from auditor.sandbox.signals import orderly_end
from auditor.sandbox.space import StoppedError

_LIMITS = Limits(requests_per_second=100, parallel_requests=8)
_RUNS_AT_ONCE = 4
_ANSWER_SECONDS = 10.0
_LEFT = 1
_UNDETERMINED = 5
_HEADINGS = ("RUN", "AGE", "EXPIRES", "NAMESPACE", "OBJECTS", "")


@click.command(
    "clean",
    short_help="Remove what runs left on a cluster.",
    epilog=example(
        "auditor clean",
        "auditor clean --all --yes",
        "auditor clean --run 91039ca66f --namespace audit",
    ),
)
@click.option("--run", "run_id", metavar="ID", help="Remove this run, dead or not.")
@click.option("--expired", is_flag=True, help="Remove the runs that count as dead. [default]")
@click.option("--all", "everything", is_flag=True, help="Remove every run, those that go on too.")
@click.option("--context", metavar="NAME", help="Context of the kubeconfig. [default: current]")
@click.option(
    "--kubeconfig", metavar="FILE", type=FILE, help="[default: $KUBECONFIG, ~/.kube/config, or the pod's own]"
)
@click.option("--namespace", default="", metavar="NAME", help="Look in this one only. [default: all]")
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=180.0,
    show_default=True,
    metavar="SECONDS",
    help="For each run; what is still there then is reported.",
)
@click.option("--dry-run", is_flag=True, help="List what would be removed; change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@logging_options
def command(
    *,
    run_id: str | None,
    expired: bool,
    everything: bool,
    context: str | None,
    kubeconfig: Path | None,
    namespace: str,
    timeout: float,
    dry_run: bool,
    yes: bool,
) -> int:
    """Remove what runs of `auditor probe` left behind: after a crash, a `kill -9`, a lost connection.

    Everything that a run makes carries its id and an expiry. It is found by them in all kinds of objects, followed to
    the volumes of its claims, and waited for until it is gone. Exit code 0: it is; 1: not all of it; 5: some could not
    be looked at.
    """
    if sum((bool(run_id), expired, everything)) > 1:
        raise UsageError("Only one of --run, --expired and --all can be given.", next_step="auditor clean --help")
    if not (yes or dry_run or _is_terminal()):
        raise UsageError("There is nobody to ask.", next_step="Give --yes, or --dry-run to see what would be removed.")
    objects = _objects(connect(context, kubeconfig=kubeconfig))
    with orderly_end(), progress("Looking for runs"):
        found, unseen = find_runs(objects, namespace=namespace, run_id=run_id or "")
    _refuse_the_blind(unseen, namespace=namespace, run_id=run_id or "")
    now = datetime.now(UTC)
    chosen = [run for run in found if run_id or everything or run.is_expired(now)]
    _show(found, chosen, unseen, now=now)
    if not chosen or dry_run:
        return _UNDETERMINED if unseen else 0
    if not yes and not click.confirm(f"Remove {_counted(len(chosen), 'run')}?", err=True):
        note("Nothing was done.")
        return _LEFT
    with orderly_end():
        removals = _remove(objects, chosen, namespace=namespace, seconds=timeout)
    if any(removal.left for removal in removals):
        return _LEFT
    return _UNDETERMINED if any(removal.unseen for removal in removals) else 0


def _is_terminal() -> bool:
    return sys.stdin.isatty()


def _objects(connection: Connection) -> Objects:
    objects = Objects(ApiServer(connection, _LIMITS))
    try:
        objects.server.json("/version", dict, deadline=Deadline(_ANSWER_SECONDS))
    except RequestError as error:
        if error.status is None or error.status == HTTPStatus.UNAUTHORIZED:
            raise unreachable(connection.server, error) from error
    return objects


def _refuse_the_blind(unseen: Mapping[str, str], *, namespace: str, run_id: str) -> None:
    """An account that may look into no namespace would find every cluster clean."""
    if "pods" in unseen and not (namespace or run_id):
        raise ClusterError(
            f"Runs cannot be looked for in all namespaces: {unseen['pods']}.",
            next_step="auditor clean --namespace NAME",
        )


def _show(found: Iterable[FoundRun], chosen: list[FoundRun], unseen: Mapping[str, str], *, now: datetime) -> None:
    rows = [
        (
            run.run_id,
            _span(now - run.began_at),
            _expiry(run, now),
            ", ".join(run.namespaces) or "-",
            ", ".join(f"{count} {kind}" for kind, count in run.objects.items()),
            "to remove" if run in chosen else "kept",
        )
        for run in found
    ]
    if rows:
        write_table(_HEADINGS, rows)
    else:
        write_text("No run left anything behind.")
    _tell_unseen(unseen)


def _remove(objects: Objects, runs: list[FoundRun], *, namespace: str, seconds: float) -> list[Removal]:
    """Remove several runs side by side, since most of the time is spent waiting, and tell of each in their order."""
    ended = threading.Event()

    def pause(for_seconds: float) -> None:
        if ended.wait(for_seconds):
            raise StoppedError

    def one(run: FoundRun) -> Removal:
        return remove_run(objects, run.run_id, namespace=namespace, seconds=seconds, pause=pause)

    removals = []
    with ThreadPoolExecutor(_RUNS_AT_ONCE) as pool, progress(f"Removing {_counted(len(runs), 'run')}"):
        try:
            for run, removal in zip(runs, pool.map(one, runs), strict=True):
                removals.append(removal)
                _tell(run, removal)
        finally:  # Ctrl-C: the threads see it at their next pause
            ended.set()
            pool.shutdown(wait=True, cancel_futures=True)
    return removals


def _tell(run: FoundRun, removal: Removal) -> None:
    gone = _counted(sum(removal.removed.values()), "object")
    left = f", {len(removal.left)} left" if removal.left else ""
    write_text(f"run {run.run_id}: {gone} removed in {removal.seconds:.0f} s{left}")
    for text in removal.notes:
        note(f"  {text}")
    for each in removal.left:
        place = f"{each.namespace}/" if each.namespace else ""
        write_text(f"  {each.kind} {place}{each.name}: {each.reason}\n    next:  {each.command}")
    _tell_unseen(removal.unseen)


def _tell_unseen(unseen: Mapping[str, str]) -> None:
    for resource, reason in unseen.items():
        note(f"not looked at: {resource}: {reason}")


def _expiry(run: FoundRun, now: datetime) -> str:
    if run.expires_at is None:
        return "ended" if run.is_expired(now) else "not known"
    left = run.expires_at - now
    return f"in {_span(left)}" if left > timedelta(0) else f"{_span(-left)} ago"


def _span(time: timedelta) -> str:
    """The largest unit that is at least 2, as people say it."""
    seconds = max(0, round(time.total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
