"""`auditor probe`."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from auditor.bundle import BundleWriter
from auditor.cli.options import FILE, complete_probe, example, logging_options, sandbox_options, settings_options
from auditor.cli.output import counting, note, write_text
from auditor.cli.probe_plan import manifests, outline
from auditor.cluster import Connection, connect
from auditor.collect import Progress, collect
from auditor.config.settings import Configuration
from auditor.errors import UsageError
from auditor.probing import (
    Prepared,
    ProbeOutcome,
    ProbeProgress,
    ProbeRun,
    RunOutcome,
    wanted_probes,
    write_outcomes,
)
from auditor.reading_plan import Plan
from auditor.reading_plan import plan as reading_plan
from auditor.registry import load_probes
from auditor.run import needed_parts
from auditor.sandbox.signals import orderly_end

_LOOK_EVERY_SECONDS = 0.2
_DECLINED = 1


@click.command(
    "probe",
    short_help="Prove on a cluster what reading cannot tell.",
    epilog=example(
        "auditor probe -o bundle.tar.gz",
        "auditor probe --for kafka --probe storage --yes -o ./bundle",
        "auditor probe --namespace audit --dry-run",
    ),
)
@click.option("--context", metavar="NAME", help="Context of the kubeconfig. [default: current]")
@click.option(
    "--kubeconfig", metavar="FILE", type=FILE, help="[default: $KUBECONFIG, ~/.kube/config, or the pod's own]"
)
@click.option("-o", "--output", metavar="BUNDLE", type=FILE, help="Folder to make, or archive.tar.gz; must not exist.")
@click.option(
    "--probe",
    "patterns",
    multiple=True,
    metavar="GLOB",
    shell_complete=complete_probe,
    help="Run these probes; repeatable. [default: those that the selected checks need]",
)
@settings_options("workloads", "profile", "select", "skip", "checks_dirs")
@sandbox_options
@click.option("--hash-names", is_flag=True, help="Replace node names and addresses by pseudonyms.")
@click.option("--dry-run", is_flag=True, help="Print every manifest and the plan; change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@logging_options
def command(
    *,
    context: str | None,
    kubeconfig: Path | None,
    output: Path | None,
    patterns: tuple[str, ...],
    configuration: Configuration,
    hash_names: bool,
    dry_run: bool,
    yes: bool,
) -> int:
    """Read a cluster and run small experiments on it, into a BUNDLE for `auditor check`.

    The experiments live in a namespace of their own, or in the one that is given; all that they make is marked, limited
    and removed in the end. The plan is shown first. What the account may not do is recorded in the bundle.
    """
    if output is None and not dry_run:
        raise UsageError("-o BUNDLE is missing.", next_step="auditor probe --help")
    if not (dry_run or yes or _can_ask()):
        raise UsageError("There is no terminal to ask whether the plan may be carried out.", next_step="Give --yes.")
    settings = configuration.settings
    parts = needed_parts(settings, configuration.checks)
    run = ProbeRun(
        connect(context, kubeconfig=kubeconfig),
        wanted_probes(load_probes(), parts, patterns),
        settings=settings.sandbox,
        options=settings.probes,
        now=datetime.now(UTC),
        dry_run=dry_run,
    )
    with orderly_end():
        prepared = run.prepare()
        connection = connect(context, kubeconfig=kubeconfig)  # reading has a pace, and so connections, of its own
        if output is None or dry_run:
            write_text("".join(manifests(run, prepared.plan_or_error())))
            return 0
        if not _agreed(connection.name, run, prepared, yes=yes):
            note("Nothing was done.")
            return _DECLINED
        _carry_out(connection, run, prepared, reading_plan(parts), output, hash_names=hash_names)
    write_text(str(output))
    return 0


def _can_ask() -> bool:
    return sys.stdin.isatty()


def _agreed(cluster: str, run: ProbeRun, prepared: Prepared, *, yes: bool) -> bool:
    """Show the plan, and ask."""
    if prepared.plan is None:
        note(f"{cluster}: no probe can be run: {prepared.refusal}. The cluster is only read.")
        return True
    lines = outline(prepared.plan, run.sandbox.settings, namespace=run.sandbox.namespace)
    text = "\n  ".join([f"{cluster}:", *lines])
    if yes:
        note(text)
        return True
    click.echo(text, err=True)
    return click.confirm("Go on?", err=True)


def _carry_out(
    connection: Connection, run: ProbeRun, prepared: Prepared, wanted: Plan, output: Path, *, hash_names: bool
) -> None:
    """Read the cluster, then let the probes run; both go into one bundle."""
    progress = Progress()
    with ExitStack() as shown:

        def probes(writer: BundleWriter) -> None:
            shown.close()
            with _telling() as told:
                outcome = run.conduct(prepared, told)
            write_outcomes(writer, outcome)
            _tell(outcome)

        shown.enter_context(counting(f"Reading {connection.name}", progress))
        outcome = collect(connection, wanted, output, hash_names=hash_names, progress=progress, then=probes)
    for gap in outcome.gaps:
        note(f"  {gap}")


@contextmanager
def _telling() -> Iterator[ProbeProgress]:
    """Say of each probe when it begins and what became of it."""
    progress = ProbeProgress()
    ended = threading.Event()
    told: set[str] = set()

    def tell() -> None:
        with progress.lock:
            running, done = list(progress.running), dict(progress.done)
        for name in (name for name in (*running, *done) if f"{name} begins" not in told):
            told.add(f"{name} begins")
            note(f"probe {name}: running")
        for name, outcome in done.items():
            if name not in told:
                told.add(name)
                note(f"probe {name}: {_said(outcome)}")

    def watch() -> None:
        while not ended.wait(_LOOK_EVERY_SECONDS):
            tell()

    teller = threading.Thread(target=watch, daemon=True)
    teller.start()
    try:
        yield progress
    finally:
        ended.set()
        teller.join()
        tell()


def _said(outcome: ProbeOutcome) -> str:
    if outcome.observations is not None:
        return f"done in {outcome.seconds:.0f} s"
    return f"{outcome.status} ({outcome.seconds:.0f} s)" if outcome.seconds >= 1 else str(outcome.status)


def _tell(outcome: RunOutcome) -> None:
    removal = outcome.removal
    if removal is None:
        note(f"no probe could be run: {outcome.probes[0].status}")
        return
    for text in removal.notes:
        note(f"  {text}")
    if removal.left or removal.unseen:
        note(f"what the run made could not all be removed; see: auditor clean --run {outcome.run_id} --dry-run")
