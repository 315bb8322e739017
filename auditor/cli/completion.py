"""`auditor completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from auditor.cli.options import example
from auditor.cli.output import write_text


@click.command(
    "completion",
    short_help="Print the completion script of a shell.",
    epilog=example(
        "source <(auditor completion bash)",
        "auditor completion fish > ~/.config/fish/completions/auditor.fish",
    ),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, *, shell: str) -> None:
    """Print the script that makes a SHELL complete commands, flags and check ids."""
    completion_class = get_completion_class(shell)
    if completion_class is None:
        raise click.UsageError(f"click does not know the shell {shell!r}.", ctx)
    write_text(completion_class(ctx.find_root().command, {}, "auditor", "_AUDITOR_COMPLETE").source())
