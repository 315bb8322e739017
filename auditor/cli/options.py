"""Flags that several commands share, and what completes them in a shell."""

from __future__ import annotations

import functools
import logging
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from auditor.config.parameters import assigned
from auditor.config.schema import BUILT_IN_PROFILES, FailOn, Given
from auditor.config.settings import Configuration, configure
from auditor.config.sources import split_list, workloads_from_text
from auditor.model import Strictness, Workload
from auditor.registry import load_checks, load_probes, load_reports

F = TypeVar("F", bound=Callable[..., Any])
Option = Callable[[F], F]
Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path)


def example(*lines: str) -> str:
    """An epilog of examples, which click must not wrap."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


def completed_from(known: Callable[[], Iterable[tuple[str, str]]]) -> Completer:
    """What completes text in a shell from names with descriptions."""

    def complete(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(name, help=text) for name, text in known() if name.startswith(incomplete)]

    return complete


complete_check = completed_from(lambda: ((check.id, check.title) for check in load_checks()))
complete_probe = completed_from(lambda: ((probe.id, probe.title) for probe in load_probes()))
complete_format = completed_from(lambda: ((report.id, report.title) for report in load_reports()))
_complete_profile = completed_from(lambda: ((name, profile.description) for name, profile in BUILT_IN_PROFILES.items()))
_complete_workload = completed_from(lambda: ((str(workload), "") for workload in Workload))


def _lists(_: click.Context, __: click.Parameter, texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(entry for text in texts for entry in split_list(text))


def _workloads(_: click.Context, __: click.Parameter, texts: Sequence[str]) -> tuple[Workload, ...] | None:
    if not texts:
        return None
    try:
        workloads = workloads_from_text(",".join(texts))
    except ValueError as error:
        raise click.BadParameter(" ".join(error.args).strip()) from error
    if not workloads:
        raise click.BadParameter("Name at least one workload.")
    return workloads


_SETTINGS: dict[str, Option[Any]] = {
    "workloads": click.option(
        "--for",
        "workloads",
        multiple=True,
        metavar="WORKLOADS",
        shell_complete=_complete_workload,
        callback=_workloads,
        help="Workloads to judge for, separated by commas. [default: all]",
    ),
    "profile": click.option(
        "--profile",
        metavar="PROFILE",
        shell_complete=_complete_profile,
        help="Named set of choices. [default: standard]",
    ),
    "strictness": click.option(
        "--strictness",
        type=click.Choice(Strictness, case_sensitive=False),
        help="How severe a finding must be to decide the verdict.",
    ),
    "select": click.option(
        "--select",
        multiple=True,
        metavar="GLOB",
        shell_complete=complete_check,
        callback=_lists,
        help="Run only these checks; repeatable.",
    ),
    "skip": click.option(
        "--skip",
        multiple=True,
        metavar="GLOB",
        shell_complete=complete_check,
        callback=_lists,
        help="Leave these checks out; repeatable.",
    ),
    "parameters": click.option(
        "--param",
        "parameters",
        multiple=True,
        metavar="CHECK.NAME=VALUE",
        callback=lambda _, __, texts: assigned(texts),
        help="Value of a check's parameter; repeatable.",
    ),
    "checks_dirs": click.option(
        "--checks-dir",
        "checks_dirs",
        multiple=True,
        metavar="DIR",
        type=click.Path(),
        help="Folder with checks of your own; repeatable.",
    ),
    "format": click.option(
        "--format",
        metavar="FORMAT",
        shell_complete=complete_format,
        help="How to show the result; see: auditor list reports. [default: text]",
    ),
    "fail_on": click.option(
        "--fail-on",
        type=click.Choice(FailOn, case_sensitive=False),
        help="From which status on the exit code is not 0. [default: fail]",
    ),
}


def settings_options(*names: str) -> Option[Any]:
    """Give a command the flags of these settings, and ``--config``; it receives the resolved ``configuration``."""

    def decorate(function: F) -> Callable[..., Any]:
        @functools.wraps(function)
        def command(*, config: Path | None, **options: Any) -> Any:
            given = {name: options.pop(name) or None for name in names}
            configuration = configure(Given(**given), config=config, environ=os.environ, folder=Path())
            return function(configuration=configuration, **options)

        decorated: Callable[..., Any] = click.option(
            "--config", metavar="FILE", type=FILE, help="Configuration. [default: auditor.yaml, where there is one]"
        )(command)
        for name in reversed(names):
            decorated = _SETTINGS[name](decorated)
        return decorated

    return decorate


_SANDBOX: dict[str, tuple[str, str]] = {
    "agent_image": ("images", "agent"),
    "mirror": ("images", "mirror"),
    "namespace": ("sandbox", "namespace"),
    "storage_classes": ("probes", "storage_classes"),
    "external_name": ("probes", "external_name"),
    "load_balancer": ("probes", "load_balancer"),
}
"""Flags that overrule the file's sections: the section and the key."""


def sandbox_options(function: F) -> Callable[..., Any]:
    """Give a command the flags that overrule the sections ``images``, ``sandbox`` and ``probes`` of the file.

    It must stand below :func:`settings_options`, whose ``configuration`` it changes.
    """

    @functools.wraps(function)
    def command(*, configuration: Configuration, **options: Any) -> Any:
        given: dict[str, dict[str, Any]] = {"images": {}, "sandbox": {}, "probes": {}}
        for flag, (section, key) in _SANDBOX.items():
            if value := options.pop(flag):
                given[section][key] = value
        return function(configuration=configuration.with_sandbox(**given), **options)

    for option in reversed(
        (
            click.option("--namespace", metavar="NAME", help="Existing namespace to use. [default: one is made]"),
            click.option("--agent-image", metavar="IMAGE", help="Image of the probes' pods."),
            click.option("--mirror", metavar="PREFIX", help="Registry for images that name none."),
            click.option(
                "--storage-class",
                "storage_classes",
                multiple=True,
                metavar="GLOB",
                callback=_lists,
                help="Class to prove; repeatable. [default: the default one, and those in use]",
            ),
            click.option("--external-name", metavar="NAME", help="Name outside of the cluster to resolve."),
            click.option("--load-balancer", is_flag=True, help="Also ask for a load balancer, which may cost money."),
        )
    ):
        command = option(command)
    return command


def output_option(function: F) -> F:
    """Give a command ``-o FILE``."""
    return click.option(
        "-o",
        "--output",
        metavar="FILE",
        type=FILE,
        help="Write to a file; its extension decides the format unless --format does.",
    )(function)


def listing_format_option(function: F) -> F:
    """Give a command ``--format text|json``."""
    return click.option(
        "--format",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="For people or programs.",
    )(function)


def logging_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``-q`` and ``-v``, which decide what is said on stderr."""
    quiet = click.option("-q", "--quiet", is_flag=True, help="Say nothing on stderr but errors.")
    verbose = click.option("-v", "--verbose", is_flag=True, help="Say on stderr what is being done.")

    @functools.wraps(function)
    def command(*, quiet: bool, verbose: bool, **options: Any) -> Any:
        level = logging.ERROR if quiet else logging.INFO if verbose else logging.WARNING
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S"))
        logger = logging.getLogger("auditor")
        logger.handlers = [handler]
        logger.setLevel(level)
        return function(**options)

    return quiet(verbose(command))
