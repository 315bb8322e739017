"""Settings: what is in force after flags, environment, file, profile and defaults, and where each value came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from auditor.config.mistakes import Mistake, refuse, suggestion
from auditor.config.parameters import Typed, by_check, typed_parameters
from auditor.config.schema import BUILT_IN_PROFILES, ConfigFile, FailOn, Given, Profile
from auditor.config.sources import (
    FoundFile,
    Source,
    environment_source,
    find_file,
    flags_source,
    misspelt_variables,
    read_file,
)
from auditor.config.verify import (
    file_mistakes,
    given_mistakes,
    known_waivers,
    section_mistakes,
    selection_mistakes,
    waiver_mistakes,
)
from auditor.errors import ConfigError
from auditor.model import Strictness, Waiver, Workload
from auditor.registry import Registry, load_checks
from auditor.sandbox.scope import ProbeOptions
from auditor.sandbox.settings import Images, SandboxSettings
from auditor.units.check import ALL_WORKLOADS, Check

DEFAULTS = Given(
    profile="standard",
    workloads=ALL_WORKLOADS,
    strictness=Strictness.STANDARD,
    fail_on=FailOn.FAIL,
    select=(),
    skip=(),
    checks_dirs=(),
    format="text",
)
"""What holds where no source says otherwise."""

_NO_FLAGS = Given()
_DEFAULTS_SOURCE = Source(values=DEFAULTS, place=lambda _: "default")
_PLAIN_SETTINGS = ("profile", "workloads", "strictness", "fail_on", "select", "skip", "checks_dirs", "format")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a run does, with every value resolved."""

    profile: str
    workloads: tuple[Workload, ...]
    strictness: Strictness
    fail_on: FailOn
    select: tuple[str, ...]
    """Globs of the checks to run; empty: all."""
    skip: tuple[str, ...]
    """Globs of the checks to leave out."""
    checks_dirs: tuple[str, ...]
    """Folders with the site's own checks."""
    format: str
    parameters: dict[str, dict[str, Any]] = {}
    """Values by check id and parameter name, where they were given."""
    waivers: tuple[Waiver, ...] = ()
    sandbox: SandboxSettings = SandboxSettings()
    """How pods of probes and benchmarks fit into the site, images included."""
    probes: ProbeOptions = ProbeOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Settings, and what is known about them.

    Attributes:
        settings: what is in force.
        origins: where each setting came from, by name; parameters as ``check-id.name``.
        profiles: built-in and site's own ones.
        file: the configuration file, if there is one.
        checks: all checks that were found.
        warnings: what is odd but does not keep a run from being done.
    """

    settings: Settings
    origins: Mapping[str, str]
    profiles: Mapping[str, Profile]
    file: FoundFile | None
    checks: Registry[Check]
    warnings: tuple[str, ...] = ()

    def with_sandbox(
        self, *, images: Mapping[str, Any], sandbox: Mapping[str, Any], probes: Mapping[str, Any]
    ) -> Configuration:
        """The same, with some keys of the sections ``images``, ``sandbox`` and ``probes`` overruled by flags.

        Raises:
            ConfigError: pull secrets are named and no namespace that may hold them.
        """
        settings = self.settings
        own = msgspec.structs.replace(settings.sandbox.images, **images)
        place = msgspec.structs.replace(settings.sandbox, images=own, **sandbox)
        if own.pull_secrets and not place.namespace:
            raise ConfigError(
                "images.pull_secrets are named, and a namespace that is made for the run cannot hold them.",
                next_step="Name a namespace that does: --namespace, or sandbox.namespace in auditor.yaml",
            )
        options = msgspec.structs.replace(settings.probes, **probes)
        return replace(self, settings=msgspec.structs.replace(settings, sandbox=place, probes=options))

    def in_force(self) -> dict[str, dict[str, Any]]:
        """Value and origin of each setting and of each parameter that was given, as JSON values."""
        values = msgspec.to_builtins(self.settings)
        entries = {name: {"value": values[name], "origin": self.origins[name]} for name in _PLAIN_SETTINGS}
        for check_id, given in values["parameters"].items():
            for name, value in given.items():
                key = f"{check_id}.{name}"
                entries[key] = {"value": value, "origin": self.origins[key]}
        for number, waiver in enumerate(values["waivers"]):
            place = self.file.document.place(("waivers", number)) if self.file else ""
            entries[f"waivers[{number}]"] = {"value": waiver, "origin": place}
        return entries | self._sections(values)

    def _sections(self, values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """The entries of ``images``, ``sandbox`` and ``probes``."""
        images = values["sandbox"].pop("images")
        entries = {}
        for section, found in {"images": images, "sandbox": values["sandbox"], "probes": values["probes"]}.items():
            for name, value in found.items():
                is_given = self.file is not None and (section, name) in self.file.document
                origin = self.file.document.place((section, name)) if self.file and is_given else "default"
                entries[f"{section}.{name}"] = {"value": value, "origin": origin}
        return entries


def configure(
    flags: Given = _NO_FLAGS, *, config: Path | None = None, environ: Mapping[str, str], folder: Path
) -> Configuration:
    """Resolve the configuration: flag > environment > file > profile > default.

    Args:
        flags: what the command line gives.
        config: the file that ``--config`` names.
        environ: the environment.
        folder: where ``auditor.yaml`` is looked for.

    Raises:
        ConfigError: something in it is wrong; the error names every mistake.
        DuplicateIdError: two checks claim one id.
    """
    file = find_file(config, environ, folder=folder)
    return _resolve(flags_source(flags), environ, file)


def validate(path: Path) -> Configuration:
    """Verify one configuration file, without regard to flags and environment.

    Raises:
        ConfigError: something in it is wrong; the error names every mistake.
        DuplicateIdError: two checks claim one id.
    """
    return _resolve(flags_source(_NO_FLAGS), {}, read_file(path))


def defaults() -> Configuration:
    """The configuration of an installation without flags, environment and file.

    Raises:
        DuplicateIdError: two checks claim one id.
    """
    return _resolve(flags_source(_NO_FLAGS), {}, None)


def _resolve(flags: Source, environ: Mapping[str, str], file: FoundFile | None) -> Configuration:
    environment, mistakes = environment_source(environ)
    given = [flags, environment, *([file.source] if file else [])]
    profiles = {**BUILT_IN_PROFILES, **((file.content.profiles if file else None) or {})}
    sources = {name: _profile_source(name, profile, file) for name, profile in profiles.items()}
    profile, profile_origin = _chosen("profile", [*given, _DEFAULTS_SOURCE])
    if profile not in profiles:
        hint = suggestion(profile, profiles)
        mistakes.append(Mistake(place=profile_origin, what=f"There is no profile {profile!r}.", hint=hint))
    ladder = [*given, sources.get(profile, _DEFAULTS_SOURCE), _DEFAULTS_SOURCE]
    chosen = {name: _chosen(name, ladder) for name in _PLAIN_SETTINGS}
    workloads, workloads_origin = chosen["workloads"]
    chosen["workloads"] = tuple(dict.fromkeys(workloads)), workloads_origin
    checks = load_checks(folder for folder in map(Path, chosen["checks_dirs"][0]) if folder.is_dir())
    mistakes += _verify([*given, *sources.values()], file, checks)
    parameters = _merged_parameters(ladder, checks)
    warnings = _refuse_or_warn(mistakes, file, checks) + misspelt_variables(environ)
    return Configuration(
        settings=Settings(
            **{name: value for name, (value, _) in chosen.items()},
            parameters=by_check(parameters),
            waivers=known_waivers(file, checks) if file else (),
            sandbox=_sandbox(file),
            probes=(file.content.probes if file else None) or ProbeOptions(),
        ),
        origins={
            **{name: origin for name, (_, origin) in chosen.items()},
            **{f"{check}.{name}": origin for (check, name), (_, origin) in parameters.items()},
        },
        profiles=profiles,
        file=file,
        checks=checks,
        warnings=tuple(warnings),
    )


def _sandbox(file: FoundFile | None) -> SandboxSettings:
    """The file's section ``sandbox``, with the section ``images`` in it."""
    content = file.content if file else ConfigFile()
    return msgspec.structs.replace(content.sandbox or SandboxSettings(), images=content.images or Images())


def _chosen(name: str, ladder: Sequence[Source]) -> tuple[Any, str]:
    source = next(source for source in ladder if getattr(source.values, name, None) is not None)
    return getattr(source.values, name), source.place((name,))


def _profile_source(name: str, profile: Profile, file: FoundFile | None) -> Source:
    if file is None or name not in (file.content.profiles or {}):
        return Source(values=profile, place=lambda _: f"profile {name}")
    document = file.document
    return Source(values=profile, place=lambda path: f"{document.place(('profiles', name, *path))} (profile {name})")


def _verify(sources: Sequence[Source], file: FoundFile | None, checks: Registry[Check]) -> list[Mistake]:
    mistakes: list[Mistake] = []
    for source in sources:
        mistakes += given_mistakes(source)
        mistakes += selection_mistakes(source, checks)
        mistakes += typed_parameters(source, checks)[1]
    if file is not None:
        mistakes += file_mistakes(file)
        mistakes += section_mistakes(file)
        mistakes += waiver_mistakes(file, checks)
    return mistakes


def _merged_parameters(ladder: Sequence[Source], checks: Registry[Check]) -> Typed:
    merged: Typed = {}
    for source in reversed(ladder):
        merged |= typed_parameters(source, checks)[0]
    return merged


def _refuse_or_warn(mistakes: Sequence[Mistake], file: FoundFile | None, checks: Registry[Check]) -> list[str]:
    """Where a plugin could not be loaded, a check that is not known may be one of its own: that is only a warning."""
    excused = [mistake for mistake in mistakes if mistake.unknown_check and checks.failures]
    wrong = [mistake for mistake in mistakes if mistake not in excused]
    in_file = file is not None and any(mistake.place.startswith(f"{file.document.name}:") for mistake in wrong)
    refuse(wrong, next_step=f"Correct it, then run: auditor config validate {file.path}" if file and in_file else "")
    return [f"{mistake} It may belong to a plugin that could not be loaded." for mistake in excused]
