"""`auditor rbac`."""

from __future__ import annotations

import click
import yaml

from auditor.cli.options import complete_probe, example, settings_options
from auditor.cli.output import write_text
from auditor.config.settings import Configuration
from auditor.errors import UsageError
from auditor.probing import wanted_probes
from auditor.rbac import manifests, probe_manifests
from auditor.reading_plan import plan
from auditor.registry import load_probes
from auditor.run import needed_parts


@click.command(
    "rbac",
    short_help="Print the least rights that an audit needs.",
    epilog=example(
        "auditor rbac | kubectl apply -f -",
        "auditor rbac --for kafka --service-account audit/reader",
        "auditor rbac --probes --namespace audit",
    ),
)
@settings_options("workloads", "profile", "select", "skip", "checks_dirs")
@click.option(
    "--service-account",
    metavar="NAMESPACE/NAME",
    default="auditor/auditor",
    show_default=True,
    help="Who gets them; it is not created.",
)
@click.option("--probes/--no-probes", default=False, help="Also what `auditor probe` needs.  [default: no-probes]")
@click.option(
    "--probe",
    "patterns",
    multiple=True,
    metavar="GLOB",
    shell_complete=complete_probe,
    help="With --probes: only for these; repeatable. [default: those that the selected checks need]",
)
@click.option(
    "--namespace",
    "sandbox",
    metavar="NAME",
    help="With --probes: the existing namespace that they use. [default: one is made for each run]",
)
def command(
    *, configuration: Configuration, service_account: str, probes: bool, patterns: tuple[str, ...], sandbox: str | None
) -> int:
    """Print a ClusterRole, the Roles for objects that are read by name, and their bindings.

    They are what `auditor collect` needs for the selected checks, and no more: list, and get of single objects; never
    Secrets, never nodes/proxy. With --probes they are followed by what `auditor probe` needs. With --namespace the
    probes may create objects in that namespace only; without it in all, for their own has no name yet.
    """
    namespace, slash, account = service_account.partition("/")
    if not (namespace and slash and account):
        raise UsageError(f"{service_account!r} is not NAMESPACE/NAME.", next_step="auditor rbac --help")
    parts = needed_parts(configuration.settings, configuration.checks)
    documents = manifests(plan(parts), account=account, namespace=namespace)
    if probes:
        chosen = wanted_probes(load_probes(), parts, patterns)
        own = sandbox or configuration.settings.sandbox.namespace
        documents += probe_manifests(chosen, account=account, namespace=namespace, sandbox=own)
    write_text(yaml.safe_dump_all(documents, sort_keys=False, default_flow_style=False))
    return 0
