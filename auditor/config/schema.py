"""What auditor.yaml may hold, as types. Every key that one of the sources may leave out is None there."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from auditor.model import Strictness, Waiver, Workload
from auditor.sandbox.scope import ProbeOptions
from auditor.sandbox.settings import Images, SandboxSettings

CONFIG_VERSION = 1
"""The only version of auditor.yaml that there is so far."""


class FailOn(StrEnum):
    """From which status on a finding makes `auditor` exit with a code that is not 0."""

    FAIL = "fail"
    WARN = "warn"


class Choices(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a profile may choose, and every other source too."""

    workloads: tuple[Workload, ...] | None = None
    strictness: Strictness | None = None
    parameters: dict[str, dict[str, Any]] | None = None
    """Values by check id and parameter name."""


class Profile(Choices, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A named set of choices."""

    description: str = ""


class Given(Choices, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one source (flags, environment or file) gives."""

    profile: str | None = None
    fail_on: FailOn | None = None
    select: tuple[str, ...] | None = None
    skip: tuple[str, ...] | None = None
    checks_dirs: tuple[str, ...] | None = None
    format: str | None = None


class ConfigFile(Given, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """auditor.yaml."""

    version: int = CONFIG_VERSION
    waivers: tuple[Waiver, ...] | None = None
    profiles: dict[str, Profile] | None = None
    images: Images | None = None
    sandbox: SandboxSettings | None = None
    """Without its ``images``, which have a section of their own."""
    probes: ProbeOptions | None = None


BUILT_IN_PROFILES = {
    "standard": Profile(
        description="Critical and high findings decide the verdict.",
        strictness=Strictness.STANDARD,
    ),
    "strict": Profile(
        description="Medium findings decide the verdict too: a gate before production.",
        strictness=Strictness.STRICT,
    ),
    "lenient": Profile(
        description="Only critical findings decide the verdict: a first look, a development cluster.",
        strictness=Strictness.LENIENT,
    ),
}
