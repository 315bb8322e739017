"""`python -m tests.testbed up|status|kubeconfig|down|exec`."""

from __future__ import annotations

import subprocess
import sys

import click

from tests.testbed import bed, packages
from tests.testbed.layout import KUBECONFIG, NODES
from tests.testbed.shell import in_netns


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """A real Kubernetes cluster on this machine, for the tests: three nodes, no container engine, no registry."""


@main.command()
def up() -> None:
    """Start it, or heal it after a crash; says where its kubeconfig is."""
    bed.up()
    click.echo(KUBECONFIG)


@main.command()
def down() -> None:
    """Stop it and leave nothing behind."""
    bed.down()


@main.command()
def status() -> None:
    """Say what runs."""
    for line in bed.status():
        click.echo(line)


@main.command()
def kubeconfig() -> None:
    """Print the path of the administrator's kubeconfig."""
    click.echo(KUBECONFIG)


@main.command("packages")
def provide_packages() -> None:
    """Install the system packages that are missing, or say how."""
    packages.provide()


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("node", type=click.Choice(["cp", *(each.name for each in NODES)]))
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec(node: str, command: tuple[str, ...]) -> None:  # noqa: A001
    """Run a command in the network namespace of a node, or of the control plane (cp)."""
    sys.exit(subprocess.run(in_netns(command, f"atb-{node}"), check=False).returncode)


if __name__ == "__main__":
    main()
