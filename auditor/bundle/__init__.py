"""Bundles: all facts of one run on disk, as a folder or the .tar.gz of one. docs/bundles.md describes the format."""

from auditor.bundle.limits import Limits
from auditor.bundle.manifest import FileEntry, Manifest, ResourceEntry
from auditor.bundle.pseudonyms import Pseudonyms
from auditor.bundle.reader import read_bundle
from auditor.bundle.redaction import Redaction
from auditor.bundle.writer import BundleWriter

__all__ = [
    "BundleWriter",
    "FileEntry",
    "Limits",
    "Manifest",
    "Pseudonyms",
    "Redaction",
    "ResourceEntry",
    "read_bundle",
]
