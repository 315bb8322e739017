"""What became of each part: the manifest's word, what the files show, and where the two disagree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.bundle.manifest import FileEntry, Manifest, ResourceEntry, resource_path
from auditor.facts.parts import MISSING, OK, Api, Part, PartState, PartStatus, Resource
from auditor.facts.store import Content, PartFacts, PartKey

NOT_ASKED = PartStatus(state=PartState.MISSING, reason="it was not asked for when the bundle was made")
NO_FILE = PartStatus(state=PartState.FAILED, reason="its file is missing though the manifest lists it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A file that was read, and what the parts asked of it."""

    sha256: str
    contents: Mapping[PartKey, Content]


class Statuses:
    """The state of parts in one bundle.

    Attributes:
        manifest: None where the bundle was made by hand; then what is there counts.
        loaded: the files that were read, by path.
        versions: API versions that have a file, by ``group/plural``.
    """

    def __init__(
        self, manifest: Manifest | None, loaded: Mapping[str, Loaded], versions: Mapping[str, set[str]]
    ) -> None:
        self.manifest = manifest
        self.loaded = loaded
        self.versions = versions
        self._warnings: dict[str, None] = {}

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of the facts must know of the files that were read."""
        return tuple(self._warnings)

    def part_facts(self, part: Part) -> PartFacts:
        """One part's state and content."""
        if part.view is not None and issubclass(part.view, Resource):
            return self._resource_facts(part, part.view.api)
        entry = next((entry for entry in self._file_entries() if entry.path == part.id), None)
        if entry is not None and entry.status is not PartState.OK:
            return PartFacts(PartStatus(state=entry.status, reason=entry.reason))
        if part.id in self.loaded:
            return self._counted(part, part.id, entry)
        return PartFacts(NO_FILE if entry else self._missing())

    def _resource_facts(self, part: Part, api: Api) -> PartFacts:
        paths = {version: resource_path(api.group, version, api.plural) for version in api.versions}
        version = next((version for version, path in paths.items() if path in self.loaded), None)
        entries = [entry for entry in self._resource_entries(api) if version in (None, entry.version)]
        entry = _entry_for(part, entries)
        if entry is not None and not (entry.asked and entry.status is PartState.OK):
            return PartFacts(_status(entry))
        if version is None:
            return PartFacts(self._without_file(api, entry))
        if entry is None and entries and not (part.object and self.loaded[paths[version]].contents[part.key]):
            named = ", ".join(entry.object for entry in entries if entry.object)
            return PartFacts(PartStatus(state=PartState.MISSING, reason=f"only {named} was asked for"))
        return self._counted(part, paths[version], entry)

    def _without_file(self, api: Api, entry: ResourceEntry | None) -> PartStatus:
        if others := sorted(self.versions.get(api.id, set()) - set(api.versions)):
            return PartStatus(
                state=PartState.FAILED,
                reason=f"the bundle holds only {', '.join(others)} of it; "
                f"this auditor understands {', '.join(api.versions)}",
            )
        return NO_FILE if entry else self._missing()

    def _counted(self, part: Part, path: str, entry: ResourceEntry | FileEntry | None) -> PartFacts:
        loaded = self.loaded[path]
        if self.manifest is not None and entry is None:
            self._warnings[f"{path} is not in the manifest: it was added by hand."] = None
        elif entry is not None and entry.sha256 not in (None, loaded.sha256):
            self._warnings[f"{path} was changed since it was collected."] = None
        return PartFacts(OK, loaded.contents[part.key])

    def _missing(self) -> PartStatus:
        return NOT_ASKED if self.manifest else MISSING

    def _resource_entries(self, api: Api) -> list[ResourceEntry]:
        entries = (
            [e for e in self.manifest.resources if (e.group, e.plural) == (api.group, api.plural)]
            if (self.manifest)
            else []
        )
        known = {version: rank for rank, version in enumerate(api.versions)}
        return sorted(entries, key=lambda entry: known.get(entry.version, len(known)))

    def _file_entries(self) -> tuple[FileEntry, ...]:
        return self.manifest.files if self.manifest else ()


def skipped(manifest: Manifest | None, path: str) -> bool:
    """Whether a resource's file does not count whatever it holds, because the manifest says that it did not come."""
    entries = [entry for entry in manifest.resources if entry.path == path] if manifest else []
    return bool(entries) and not any(entry.asked and entry.status is PartState.OK for entry in entries)


def _entry_for(part: Part, entries: list[ResourceEntry]) -> ResourceEntry | None:
    """The entry that decides on a part: its own, else the one of the whole type; the latter includes every object."""
    own = (entry for entry in entries if entry.object == part.object)
    return next(own, None) or next((entry for entry in entries if entry.object is None), None)


def _status(entry: ResourceEntry) -> PartStatus:
    if not entry.asked:
        return NOT_ASKED
    details = [
        entry.reason,
        f"HTTP {entry.http_status}" if entry.http_status else "",
        f"{entry.tries} tries" if entry.tries > 1 else "",
    ]
    return PartStatus(state=entry.status, reason=", ".join(filter(None, details)))
