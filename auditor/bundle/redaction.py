"""Redaction: what never enters a bundle.

Environment values, the contents of Secrets, managedFields and copies of what was applied are left out always; node
names, provider ids and addresses where the user asks for it.
"""

from __future__ import annotations

import re
from typing import Any

from auditor.bundle.pseudonyms import Pseudonyms

REDACTED = "[redacted]"
"""What stands in place of an environment variable's value."""

_ENVIRONMENTS = ("env", "envVars")
_SECRET_FIELDS = ("data", "stringData")
_PROVIDER_FIELDS = ("providerID", "nodeID", "csi.volume.kubernetes.io/nodeid")
_APPLIED = re.compile(r"(^|/)last-applied(-[a-z-]+)?$|^objectset\.rio\.cattle\.io/applied$")


class Redaction:
    """Redacts API objects and texts before they are written. Applying it twice changes nothing more.

    Args:
        pseudonyms: also replace node names, provider ids and addresses by these.
    """

    def __init__(self, pseudonyms: Pseudonyms | None = None) -> None:
        self._pseudonyms = pseudonyms

    def item(self, item: dict[str, Any], *, kind: str) -> dict[str, Any]:
        """A redacted copy of an API object.

        Args:
            item: the object as JSON values.
            kind: its kind, which the items of a List do not state.
        """
        if "Secret" in (kind, item.get("kind")):
            item = {key: value for key, value in item.items() if key not in _SECRET_FIELDS}
        return self._map(item, inside="")

    def text(self, text: str) -> str:
        """A redacted text that is no API object, such as an answer of ``/readyz``."""
        return self._pseudonyms.long_text(text) if self._pseudonyms else text

    def _value(self, value: Any, *, inside: str) -> Any:
        if isinstance(value, dict):
            return self._map(value, inside=inside)
        if isinstance(value, list):
            return [self._value(inner, inside="") for inner in value]
        if isinstance(value, str) and self._pseudonyms:
            return self._pseudonyms.provider_id(value) if inside in _PROVIDER_FIELDS else self._pseudonyms.text(value)
        return value

    def _map(self, value: dict[str, Any], *, inside: str) -> dict[str, Any]:
        redacted = {}
        for key, inner in value.items():
            if inside == "metadata" and key == "managedFields":
                continue
            if inside == "annotations" and _APPLIED.search(key):
                continue
            if key in _ENVIRONMENTS and inside != "properties":  # there it is a field of a CRD's schema
                inner = _environment(inner)  # noqa: PLW2901
            name = self._pseudonyms.key(key) if self._pseudonyms else key
            redacted[name] = self._value(inner, inside=key)
        return redacted


def _environment(environment: Any) -> Any:
    """The variables' names without their values, in each form that containers and custom resources use."""
    if isinstance(environment, list):
        return [_variable(variable) for variable in environment]
    if isinstance(environment, dict):
        return {name: value if isinstance(value, dict | list) else REDACTED for name, value in environment.items()}
    return environment


def _variable(variable: Any) -> Any:
    if isinstance(variable, dict):
        return {**variable, "value": REDACTED} if "value" in variable else variable
    if isinstance(variable, str):
        name, equals, _ = variable.partition("=")
        return f"{name}={REDACTED}" if equals else REDACTED
    return variable
