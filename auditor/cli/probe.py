"""`auditor probe`."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from auditor.bundle import BundleWriter
from auditor.cli.options import FILE, complete_probe, example, logging_options, sandbox_options, settings_options
from auditor.cli.output import counting, note, write_text
from auditor.cli.probe_plan import manifests, outline
from auditor.cluster import Connection, ObjectError, connect
from auditor.collect import Progress, collect
from auditor.config.settings import Configuration
from auditor.errors import UsageError
from auditor.probing import ProbeOutcome, ProbeProgress, ProbeRun, RunOutcome, RunPlan, wanted_probes, write_outcomes
from auditor.reading_plan import plan as reading_plan
from auditor.registry import load_probes
from auditor.run import needed_parts
from auditor.sandbox.scope import Scope
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
    _refuse_impossible(output, dry_run=dry_run, yes=yes)
    settings = configuration.settings
    parts = needed_parts(settings, configuration.checks)
    connection = connect(context, kubeconfig=kubeconfig)
    run = ProbeRun(
        connection,
        wanted_probes(load_probes(), parts, patterns),
        settings=settings.sandbox,
        options=settings.probes,
        now=datetime.now(UTC),
        dry_run=dry_run,
    )
    with orderly_end():
        try:
            scope = run.look_around()
        except ObjectError as error:
            if dry_run or not error.missing_permission:
                raise
            experiment = _Experiment(run, refusal=error)
        else:
            plan = run.plan(scope)
            if dry_run:
                write_text("".join(manifests(run, plan)))
                return 0
            if not _agreed(connection, run, plan, yes=yes):
                note("Nothing was done.")
                return _DECLINED
            experiment = _Experiment(run, scope, plan)
        assert output is not None  # noqa: S101  refused above
        progress = Progress()
        with counting(f"Reading {connection.name}", progress):
            pass
        collect(
            connection, reading_plan(parts), output, hash_names=hash_names, progress=progress, then=experiment.perform
        )
    write_text(str(output))
    return 0
