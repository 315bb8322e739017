"""The command group. It imports nothing but click, so that ``auditor --help`` answers at once."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NoReturn

import click

from auditor import __version__
from auditor.errors import AuditorError

COMMANDS = {
    "collect": "Read a cluster into a bundle.",
    "probe": "Prove on a cluster what reading cannot tell.",
    "check": "Judge a bundle: findings, verdicts, what to fix first.",
    "demo": "Judge the example cluster that comes with auditor.",
    "explain": "Show the manual page of checks.",
    "list": "List checks, probes, reports, profiles or workloads.",
    "report": "Render an existing result in another format.",
    "rbac": "Print the least rights that an audit needs.",
    "clean": "Remove what runs left on a cluster.",
    "config": "Show or validate the configuration.",
    "completion": "Print the completion script of a shell.",
}
"""Summary of each command; the command itself is in the module of its name and is imported when it is used."""

EXIT_CODES = {
    0: "Nothing at or above --fail-on.",
    1: "The audit could not be done.",
    2: "Usage or configuration error.",
    3: "At least one finding failed.",
    4: "Only warnings, and --fail-on warn.",
    5: "The verdict is undetermined.",
}
"""As in :class:`auditor.model.ExitCode`, which would cost an import."""

ERROR = 1
INTERRUPTED = 130
"""What shells report of a process that Ctrl-C ended."""
PIPE_CLOSED = 141
"""What shells report of a process whose reader went away."""

_EXAMPLE = "\b\nExample:\n  auditor demo\n  auditor check ./bundle --for spark,kafka\n  auditor explain 'storage.*'"
_EXIT_CODES = "\b\nExit codes:\n" + "\n".join(f"  {code}  {meaning}" for code, meaning in EXIT_CODES.items())


class Auditor(click.Group):
    """Imports commands when they are used, and turns errors into messages and exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """The names, in the order of :data:`COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"auditor.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Answer an unknown command with the one that is most like it."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise click.UsageError(f"There is no command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the table of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a reader that went away is no error of ours."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            _drop_output()
            ctx.exit(PIPE_CLOSED)

    def main(self, args: Sequence[str] | None = None, *positional: Any, **options: Any) -> NoReturn:
        """Run a command and exit; a command returns its exit code."""
        words = list(sys.argv[1:] if args is None else args)
        debug = "--debug" in words or bool(os.environ.get("AUDITOR_DEBUG"))
        words = [word for word in words if word != "--debug"]
        options |= {"standalone_mode": False, "obj": ("auditor", *words)}
        run = super().main
        sys.exit(_guarded(lambda: run(words, *positional, **options), debug=debug))


def _guarded(run: Callable[[], Any], *, debug: bool) -> int:
    try:
        return int(run() or 0)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except AuditorError as error:
        _show(str(error), debug=debug)
        return error.exit_code
    except Exception as error:  # noqa: BLE001  the last line of defence
        _show(f"{type(error).__name__}: {error}", debug=debug, next_step="run the same command with --debug")
        _drop_output()
        return ERROR


def _show(message: str, *, debug: bool, next_step: str = "") -> None:
    if debug:
        traceback.print_exc()
    elif next_step:
        message += f"\n  next:  {next_step}"
    click.echo(f"error: {message}", err=True)


def _drop_output() -> None:
    """Keep the interpreter from writing what is left to a stream that does not take it."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(
    cls=Auditor,
    epilog=f"{_EXAMPLE}\n\n{_EXIT_CODES}",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", prog_name="auditor", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, expose_value=False, help="Show tracebacks; any command takes it too.")
def cli() -> None:
    """Is this Kubernetes cluster ready for Spark, Kafka and other data systems?

    And if not, what must be fixed first?
    """


def main() -> None:
    """The ``auditor`` command."""
    cli.main(prog_name="auditor")
