"""What the checks of versions share."""

from __future__ import annotations

from auditor import Finding


def unknown_version(error: ValueError) -> Finding:
    """The finding where the API server's answer names no release."""
    return Finding.unknown(
        f"Which version of Kubernetes this is cannot be told: {error}.",
        fix="Collect again, with the API server's answer to /version.",
        command="kubectl get --raw /version",
    )
