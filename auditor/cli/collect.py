"""`auditor collect`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from auditor.cli.options import FILE, example, logging_options, settings_options
from auditor.cli.output import counting, note, write_text
from auditor.cluster import Limits, connect
from auditor.collect import Outcome, Progress, collect
from auditor.config.settings import Configuration
from auditor.errors import UsageError
from auditor.reading_plan import plan
from auditor.run import needed_parts

_DEFAULTS = Limits()


@click.command(
    "collect",
    short_help="Read a cluster into a bundle.",
    epilog=example(
        "auditor collect -o bundle.tar.gz",
        "auditor collect --context production --for kafka -o ./bundle",
        "auditor collect --context eu --context us -o ./bundles",
    ),
)
@click.option(
    "--context",
    "contexts",
    multiple=True,
    metavar="NAME",
    help="Context of the kubeconfig; repeatable. [default: current]",
)
@click.option(
    "--kubeconfig", metavar="FILE", type=FILE, help="[default: $KUBECONFIG, ~/.kube/config, or the pod's own]"
)
@click.option(
    "-o",
    "--output",
    metavar="BUNDLE",
    type=FILE,
    required=True,
    help="Folder to make, or archive.tar.gz; must not exist.",
)
@settings_options("workloads", "profile", "select", "skip", "checks_dirs")
@click.option("--kubelet-config", is_flag=True, help="Also read one node's kubelet configuration; needs nodes/proxy.")
@click.option("--hash-names", is_flag=True, help="Replace node names and addresses by pseudonyms.")
@click.option(
    "--request-timeout",
    type=click.FloatRange(min=0.1),
    default=_DEFAULTS.request_timeout_seconds,
    show_default=True,
    metavar="SECONDS",
    help="Without a byte for so long a request has failed.",
)
@click.option(
    "--deadline",
    type=click.FloatRange(min=0.1),
    default=_DEFAULTS.deadline_seconds,
    show_default=True,
    metavar="SECONDS",
    help="For one resource, all of its pages and tries.",
)
@click.option(
    "--requests-per-second",
    type=click.FloatRange(min=0.1),
    default=_DEFAULTS.requests_per_second,
    show_default=True,
    help="At most, over all resources.",
)
@click.option(
    "--parallel",
    type=click.IntRange(min=1, max=32),
    default=_DEFAULTS.parallel_requests,
    show_default=True,
    help="Requests at one time.",
)
@click.option("--compress", is_flag=True, help="Ask for compressed answers: for a slow line, at the API server's cost.")
@logging_options
def command(
    *,
    contexts: tuple[str, ...],
    kubeconfig: Path | None,
    output: Path,
    configuration: Configuration,
    kubelet_config: bool,
    hash_names: bool,
    request_timeout: float,
    deadline: float,
    requests_per_second: float,
    parallel: int,
    compress: bool,
) -> int:
    """Read a cluster into a BUNDLE, for `auditor check`.

    Only what the selected checks read is asked for, with get and list; never a Secret. What is forbidden, absent or
    fails is recorded in the bundle's manifest. Several contexts give one bundle each, below BUNDLE.
    """
    limits = Limits(
        request_timeout_seconds=request_timeout,
        deadline_seconds=deadline,
        requests_per_second=requests_per_second,
        parallel_requests=parallel,
        compress=compress,
    )
    wanted = replace(
        plan(needed_parts(configuration.settings, configuration.checks)), kubelet_configuration=kubelet_config
    )
    targets = [(connect(context, kubeconfig=kubeconfig), path) for context, path in _targets(contexts, output)]
    for connection, path in targets:
        progress = Progress()
        with counting(f"Reading {connection.name}", progress):
            outcome = collect(connection, wanted, path, limits=limits, hash_names=hash_names, progress=progress)
        _tell(connection.name, outcome)
        write_text(str(path))
    return 0


def _targets(contexts: tuple[str, ...], output: Path) -> list[tuple[str | None, Path]]:
    if len(contexts) <= 1:
        return [(contexts[0] if contexts else None, output)]
    if output.name.endswith(".tar.gz"):
        raise UsageError(
            f"{output} is one archive, and {len(contexts)} contexts give as many bundles.",
            next_step="Give -o a folder; each bundle goes below it, by the context's name.",
        )
    return [(context, output / context.replace("/", "_")) for context in dict.fromkeys(contexts)]


def _tell(name: str, outcome: Outcome) -> None:
    rate = outcome.objects / outcome.seconds
    note(
        f"{name}: {outcome.objects:,} objects in {outcome.seconds:.1f} s ({rate:,.0f}/s), {outcome.requests} requests; "
        f"resources: {outcome.states or 'none'}"
    )
    for gap in outcome.gaps:
        note(f"  {gap}")
