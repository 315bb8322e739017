"""`auditor rbac`."""

from __future__ import annotations

import click
import yaml

from auditor.cli.options import example, settings_options
from auditor.cli.output import write_text
from auditor.config.settings import Configuration
from auditor.errors import UsageError
from auditor.rbac import manifests
from auditor.reading_plan import plan
from auditor.run import needed_parts


@click.command(
    "rbac",
    short_help="Print the least rights that an audit needs.",
    epilog=example("auditor rbac | kubectl apply -f -", "auditor rbac --for kafka --service-account audit/reader"),
)
@settings_options("workloads", "profile", "select", "skip", "checks_dirs")
@click.option(
    "--service-account",
    metavar="NAMESPACE/NAME",
    default="auditor/auditor",
    show_default=True,
    help="Who gets them; it is not created.",
)
def command(*, configuration: Configuration, service_account: str) -> int:
    """Print a ClusterRole, the Roles for objects that are read by name, and their bindings.

    They are what `auditor collect` needs for the selected checks, and no more: list, and get of single
    objects; never Secrets, never nodes/proxy.
    """
    namespace, slash, account = service_account.partition("/")
    if not (namespace and slash and account):
        raise UsageError(f"{service_account!r} is not NAMESPACE/NAME.", next_step="auditor rbac --help")
    wanted = plan(needed_parts(configuration.settings, configuration.checks))
    documents = manifests(wanted, account=account, namespace=namespace)
    write_text(yaml.safe_dump_all(documents, sort_keys=False, default_flow_style=False))
    return 0
