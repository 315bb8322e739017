"""Results on disk: writing them, loading them from any version of auditor so far, and their JSON schema."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from auditor.errors import ResultError
from auditor.model import RESULT_VERSION, Result

SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"

Upgrade = Callable[[dict[str, Any]], dict[str, Any]]

UPGRADES: Mapping[int, Upgrade] = {}
"""What makes a result of one version one of the next; a key for every version below :data:`RESULT_VERSION`."""


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    """The only field that every version of a result has."""

    version: int


def dump_result(result: Result) -> bytes:
    """A result as indented JSON in UTF-8; equal results give equal bytes."""
    return msgspec.json.format(msgspec.json.encode(result, order="deterministic"), indent=2) + b"\n"


def load_result(data: bytes, *, name: str) -> Result:
    """A result from its JSON, upgraded where an older auditor wrote it.

    Fields that this version does not know are ignored.

    Args:
        data: the content of a result.json.
        name: how messages call it, usually the file's path.

    Raises:
        ResultError: it is not JSON, not a result, or written by a newer auditor.
    """
    document = _parse(data, name)
    version = _version(document, name)
    while version < RESULT_VERSION:
        document = UPGRADES[version](document)
        version += 1
    try:
        return msgspec.convert(document, type=Result)
    except msgspec.ValidationError as error:
        raise ResultError(
            f"{name} is not a result that can be read: {error}.",
            cause="The file was edited by hand, or something other than auditor wrote it.",
            next_step="Judge the bundle again with: auditor check BUNDLE",
        ) from error


def schema() -> dict[str, Any]:
    """The JSON schema of a result, as docs/result.schema.json holds it."""
    generated = msgspec.json.schema(Result)
    definitions = generated["$defs"]
    for definition in definitions.values():
        definition["description"] = inspect.cleandoc(definition["description"])
    definitions["Result"]["properties"]["version"] = {"const": RESULT_VERSION}
    return {"$schema": SCHEMA_DIALECT, "title": f"Result of auditor, version {RESULT_VERSION}", **generated}


def _parse(data: bytes, name: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ResultError(
            f"{name} is not a result: {error}.",
            cause="The file is damaged or cut short, or it is not a result.json at all.",
            next_step="Give the result.json of a run, such as auditor-results/latest/result.json.",
        ) from error


def _version(document: dict[str, Any], name: str) -> int:
    try:
        version = msgspec.convert(document, type=_Header).version
    except msgspec.ValidationError as error:
        raise ResultError(
            f"{name} is not a result: {error}.",
            cause="It is JSON, but auditor did not write it.",
            next_step="Give the result.json of a run, such as auditor-results/latest/result.json.",
        ) from error
    if version > RESULT_VERSION:
        raise ResultError(
            f"{name} is a result of version {version}; this auditor reads versions up to {RESULT_VERSION}.",
            cause="A newer auditor wrote it.",
            next_step="Update with: pip install --upgrade cluster-readiness-auditor",
        )
    if version < RESULT_VERSION and version not in UPGRADES:
        raise ResultError(
            f"{name} claims to be a result of version {version}, which has never existed.",
            next_step="Give the result.json of a run, such as auditor-results/latest/result.json.",
        )
    return version
