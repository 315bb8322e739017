"""What a configuration asks for, verified against what is installed."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from auditor.config.mistakes import Mistake, closest
from auditor.config.schema import BUILT_IN_PROFILES, CONFIG_VERSION, Given
from auditor.config.sources import FoundFile, Source
from auditor.errors import UnknownIdError
from auditor.model import Waiver
from auditor.registry import LOAD_FAILED, Registry, load_report
from auditor.units.check import Check

PULL_POLICIES = ("IfNotPresent", "Always", "Never")
_NEVER_ZERO = {"api_requests", "lookups", "pods_at_once", "visited_nodes"}
"""Beside what is a time or a size; other counts may be 0, which leaves something out."""


def given_mistakes(source: Source) -> Iterator[Mistake]:
    """What is wrong with what one source gives, whatever checks there are."""
    values, place = source.values, source.place
    if values.workloads == ():
        yield Mistake(place=place(("workloads",)), what="There is no workload to judge for.", hint="Name at least one.")
    if not isinstance(values, Given):
        return
    for number, folder in enumerate(values.checks_dirs or ()):
        if not Path(folder).is_dir():
            yield Mistake(
                place=place(("checks_dirs", number)),
                what=f"There is no folder {folder!r} to find checks in.",
                hint="Name a folder with .py files; see docs/write-a-check.md.",
            )
    if values.format is not None:
        try:
            load_report(values.format)
        except UnknownIdError as error:
            yield Mistake(place=place(("format",)), what=error.what, hint=error.cause or error.next_step)


def selection_mistakes(source: Source, checks: Registry[Check]) -> Iterator[Mistake]:
    """Globs of one source that match no check."""
    values = source.values
    if not isinstance(values, Given):
        return
    for setting, patterns in (("select", values.select), ("skip", values.skip)):
        for number, pattern in enumerate(patterns or ()):
            try:
                checks.matching([pattern])
            except UnknownIdError as error:
                place = source.place((setting, number))
                yield Mistake(place=place, what=error.what, hint=error.cause or error.next_step, unknown_check=True)


def file_mistakes(file: FoundFile) -> Iterator[Mistake]:
    """What is wrong with the keys that only the file has, whatever checks there are."""
    content, place = file.content, file.document.place
    if content.version != CONFIG_VERSION:
        yield Mistake(
            place=place(("version",)),
            what=f"Version {content.version} of the configuration is not known.",
            hint=f"This auditor knows version {CONFIG_VERSION}.",
        )
    for name in content.profiles or {}:
        if name in BUILT_IN_PROFILES:
            yield Mistake(
                place=place(("profiles", name)), what=f"The profile {name!r} is built in.", hint="Choose another name."
            )
    for number, waiver in enumerate(content.waivers or ()):
        for key in ("reason", "owner"):
            if not getattr(waiver, key).strip():
                yield Mistake(place=place(("waivers", number, key)), what=f"'waivers[{number}].{key}' is empty.")


def section_mistakes(file: FoundFile) -> Iterator[Mistake]:
    """What is wrong in ``images``, ``sandbox`` and ``probes``."""
    content, document = file.content, file.document
    if ("sandbox", "images") in document:
        yield Mistake(
            place=document.place(("sandbox", "images")),
            what="Images have a section of their own.",
            hint="Write 'images:' at the beginning of a line.",
        )
    if content.images is not None and content.images.pull_policy not in PULL_POLICIES:
        yield Mistake(
            place=document.place(("images", "pull_policy")),
            what=f"'images.pull_policy' cannot be {content.images.pull_policy!r}.",
            hint=f"Known: {', '.join(PULL_POLICIES)}.",
        )
    for section, values in (("sandbox", content.sandbox), ("probes", content.probes)):
        for name, value in (msgspec.structs.asdict(values) if values is not None else {}).items():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            is_needed = name in _NEVER_ZERO or name.endswith(("_bytes", "_minutes", "_seconds"))
            if is_number and (value < 0 or (value == 0 and is_needed)):
                yield Mistake(
                    place=document.place((section, name)),
                    what=f"'{section}.{name}' cannot be {value}.",
                    hint="It must be more than 0." if is_needed else "It must not be negative.",
                )


def waiver_mistakes(file: FoundFile, checks: Registry[Check]) -> Iterator[Mistake]:
    """Waivers that match no check."""
    ids = [*(check.id for check in checks), LOAD_FAILED]
    for number, waiver in enumerate(known_waivers(file, checks)):
        if not any(fnmatchcase(id, waiver.id) for id in ids):  # noqa: A001  the design's word
            yield Mistake(
                place=file.document.place(("waivers", number, "id")),
                what=f"The waiver {waiver.id!r} matches no check.",
                hint=closest(waiver.id, ids),
                unknown_check=True,
            )


def known_waivers(file: FoundFile, checks: Registry[Check]) -> tuple[Waiver, ...]:
    """The file's waivers; a check's alias is replaced by its id, which is what findings carry."""
    ids = {alias: check.id for check in checks for alias in check.aliases}
    return tuple(
        msgspec.structs.replace(waiver, id=ids.get(waiver.id, waiver.id)) for waiver in file.content.waivers or ()
    )
