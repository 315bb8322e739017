"""Collecting: a live cluster in, a bundle out. What was forbidden, absent or failed is recorded, never dropped."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from auditor.bundle import BundleWriter, FileEntry, Pseudonyms, Redaction, ResourceEntry
from auditor.bundle.limits import Limits as BundleLimits
from auditor.bundle.lists import list_items
from auditor.bundle.writer import Mark, Sink
from auditor.cluster import ApiServer, Connection, Limits, RequestError, Served, discover
from auditor.cluster.discovery import list_path, object_path
from auditor.cluster.pace import Deadline
from auditor.cluster.requests import unreachable
from auditor.errors import BundleError, ClusterError
from auditor.facts.kube import Node, ObjectMeta
from auditor.facts.parts import Api, PartState, PartStatus
from auditor.parallel import in_parallel
from auditor.reading_plan import KUBELET_CONFIGURATION, RAW_PATHS, Plan

PAGE_OBJECTS = 500
"""Objects per request of a list that is read in pages."""

_RAW_DEADLINE_SECONDS = 30
_MAX_RESTARTS = 5


@dataclass(slots=True)
class Progress:
    """How far a collection is, counted by its threads.

    Attributes:
        tasks: resource types and answers in all.
        done: those that are finished, whatever became of them.
        objects: objects read.
    """

    tasks: int = 0
    done: int = 0
    objects: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, *, done: int = 0, objects: int = 0) -> None:
        """Count."""
        with self.lock:
            self.done += done
            self.objects += objects


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a collection came to, for people; the manifest says the same for programs.

    Attributes:
        objects: objects written.
        seconds: how long it took.
        requests: requests made, failed ones included.
        states: resources per state, in words.
        gaps: what did not come, and why, one line each.
    """

    objects: int
    seconds: float
    requests: int
    states: str
    gaps: tuple[str, ...]


class _ListMetadata(msgspec.Struct, frozen=True, kw_only=True, rename={"continue_token": "continue"}):
    continue_token: str = ""


class _Named(msgspec.Struct, frozen=True, kw_only=True):
    metadata: ObjectMeta


class _NodeNames(msgspec.Struct, frozen=True, kw_only=True):
    metadata: _ListMetadata = _ListMetadata()
    items: tuple[_Named, ...] | None = None


class _ServerVersion(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    git_version: str = ""


def collect(
    connection: Connection,
    wanted: Plan,
    path: Path,
    *,
    limits: Limits | None = None,
    hash_names: bool = False,
    progress: Progress | None = None,
    then: Callable[[BundleWriter], None] | None = None,
) -> Outcome:
    """Read a cluster into a bundle. At ``path`` there is a whole bundle afterwards, or, on any exception, nothing.

    Args:
        connection: the cluster.
        wanted: what to ask for.
        path: the folder to make, or the archive where it ends in ``.tar.gz``.
        limits: how gently, and for how long, the cluster is asked.
        hash_names: whether node names and addresses are replaced by pseudonyms.
        progress: counts as the collection goes on.
        then: adds to the bundle when all is read; an exception of it leaves nothing at ``path`` either.

    Raises:
        ClusterUnreachableError: the API server does not answer, or not to this account.
        ClusterError: names are to be hidden and the nodes cannot be listed.
        OutputError: the bundle cannot be written.
    """
    started = time.monotonic()
    server = ApiServer(connection, limits)
    try:
        version = _server_version(server)
        served = discover(server, wanted.apis)
    except RequestError as error:
        raise unreachable(connection.server, error) from error
    redaction = Redaction(_pseudonyms(server) if hash_names else None)
    counts = progress or Progress()
    with BundleWriter(path, name=connection.name, server_version=version, redaction=redaction) as writer:
        _Collector(server, writer, counts).run(wanted, served)
        outcome = _outcome(writer.entries, counts, server, time.monotonic() - started)
        if then is not None:
            then(writer)
    return outcome


def _outcome(
    entries: Sequence[ResourceEntry | FileEntry], counts: Progress, server: ApiServer, seconds: float
) -> Outcome:
    states = Counter(entry.status for entry in entries)
    gaps = [
        f"{entry.name}: {PartStatus(state=entry.status, reason=entry.reason)}"
        for entry in entries
        if entry.status not in (PartState.OK, PartState.ABSENT)
    ]
    return Outcome(
        objects=counts.objects,
        seconds=seconds,
        requests=server.requests,
        states=", ".join(f"{count} {state}" for state, count in states.items()),
        gaps=tuple(gaps),
    )


def _pseudonyms(server: ApiServer) -> Pseudonyms:
    """Pseudonyms for this cluster's nodes, whose names must be known before anything is written.

    Raises:
        ClusterError: they may not be listed.
    """
    until = Deadline(server.limits.deadline_seconds)
    names: list[str] = []
    token = ""
    try:
        while True:
            query = f"?limit={PAGE_OBJECTS}{'&continue=' + quote(token) if token else ''}"
            page = server.json(f"{list_path(Node.api, 'v1')}{query}", _NodeNames, deadline=until)
            names += [item.metadata.name for item in page.items or ()]
            token = page.metadata.continue_token
            if not token:
                return Pseudonyms(names)
    except RequestError as error:
        raise ClusterError(
            f"The nodes' names cannot be hidden: {error}.",
            cause="--hash-names has to know them, and this account cannot list nodes.",
            next_step="Grant list on nodes (auditor rbac), or leave --hash-names out.",
        ) from error


def _server_version(server: ApiServer) -> str:
    """The first question, so that a cluster that cannot be asked is told at once."""
    until = Deadline(min(server.limits.deadline_seconds, server.limits.request_timeout_seconds))
    try:
        return server.json("/version", _ServerVersion, deadline=until).git_version
    except RequestError as error:
        if error.status == HTTPStatus.FORBIDDEN:
            return ""
        raise


class _Collector:
    """Asks for everything, several resources at once, and writes down what became of each."""

    def __init__(self, server: ApiServer, writer: BundleWriter, progress: Progress) -> None:
        self._server = server
        self._writer = writer
        self._progress = progress

    def run(self, wanted: Plan, served: Served) -> None:
        tasks: list[Callable[[], None]] = [
            partial(self._list, api, served.versions[api.id])
            for api in wanted.listed
            if self._is_served(api, served, (None,))
        ]
        tasks += [
            partial(self._objects, api, served.versions[api.id], names)
            for api, names in wanted.named
            if self._is_served(api, served, names)
        ]
        tasks += [partial(self._raw, name, RAW_PATHS[name]) for name in wanted.raw]
        if wanted.kubelet_configuration:
            tasks.append(self._kubelet_configuration)
        self._progress.tasks = len(tasks)
        in_parallel(tasks, threads=self._server.limits.parallel_requests, cancel=self._server.cancel)

    def _is_served(self, api: Api, served: Served, names: Iterable[str | None]) -> bool:
        gap = served.gaps.get(api.id)
        if gap is None:
            return True
        for name in names:
            self._writer.unavailable(api, api.versions[0], gap.state, reason=gap.reason, object=name)
        return False

    def _list(self, api: Api, version: str) -> None:
        until = Deadline(self._server.limits.deadline_seconds)
        try:
            with self._writer.resource(api, version) as sink:
                sink.from_watch_cache = not api.namespaced
                self._pages(api, version, sink, until)
                sink.tries, sink.http_status = until.tries, HTTPStatus.OK
        except RequestError as error:
            self._unavailable(api, version, error, until)
        self._progress.add(done=1)

    def _pages(self, api: Api, version: str, sink: Sink, until: Deadline) -> None:
        """All pages of a list; a page that breaks off is read again, an expired snapshot from the beginning.

        A cluster-scoped type, whose size is bounded by the nodes, comes from the server's watch cache, where a slightly
        stale answer costs etcd nothing. Namespaced ones are read in consistent pages: from the cache the server would
        build one answer of all pods in its memory.
        """
        path, beginning = list_path(api, version), sink.mark()
        first: dict[str, str | int] = {"limit": PAGE_OBJECTS}
        if sink.from_watch_cache:
            first["resourceVersion"] = "0"
        token = self._page(path, first, api, sink, until)
        restarts = 0
        while token:
            try:
                token = self._page(path, {"limit": PAGE_OBJECTS, "continue": token}, api, sink, until)
            except RequestError as error:
                if error.status != HTTPStatus.GONE or restarts == _MAX_RESTARTS:
                    raise
                restarts += 1
                until.tries += 1
                self._rewind(sink, beginning)
                token = self._page(path, first, api, sink, until)

    def _page(self, path: str, query: dict[str, str | int], api: Api, sink: Sink, until: Deadline) -> str:
        """One page, as often as it takes; the token of the next one."""
        beginning = sink.mark()

        def attempt() -> str:
            self._rewind(sink, beginning)
            envelope: dict[str, Any] = {}
            with self._server.open(path, query, deadline=until) as answer:
                items = list_items(
                    answer.body, sink.write, file=path, api=api, limits=BundleLimits(), envelope=envelope
                )
                try:
                    for _ in items:
                        self._progress.add(objects=1)
                    return msgspec.convert(envelope.get("metadata") or {}, type=_ListMetadata).continue_token
                except BundleError as error:
                    raise RequestError(None, error.what) from error
                except msgspec.ValidationError as error:
                    raise RequestError(None, f"{path}: its metadata do not fit: {error}") from error

        return self._server.insist(attempt, until)

    def _rewind(self, sink: Sink, mark: Mark) -> None:
        self._progress.add(objects=mark.count - sink.count)
        sink.rewind(mark)

    def _objects(self, api: Api, version: str, names: Sequence[str]) -> None:
        """The named objects of a type; one that the server does not have is ok, with a count of 0."""
        found: dict[str, bytes | None] = {}
        tries = 0
        for name in names:
            until = Deadline(self._server.limits.deadline_seconds)
            try:
                answer = self._server.json(object_path(api, version, name), dict[str, Any], deadline=until)
                found[name] = msgspec.json.encode(answer)
            except RequestError as error:
                if error.status == HTTPStatus.NOT_FOUND:
                    found[name] = None
                else:
                    self._unavailable(api, version, error, until, object_name=name)
            tries = max(tries, until.tries)
        if found:
            with self._writer.resource(api, version, objects=found) as sink:
                sink.tries, sink.http_status = tries, HTTPStatus.OK
                for item in filter(None, found.values()):
                    sink.write(item)
                    self._progress.add(objects=1)
        self._progress.add(done=1)

    def _kubelet_configuration(self) -> None:
        until = Deadline(min(_RAW_DEADLINE_SECONDS, self._server.limits.deadline_seconds))
        try:
            page = self._server.json(f"{list_path(Node.api, 'v1')}?limit=1", _NodeNames, deadline=until)
            if not page.items:
                raise RequestError(HTTPStatus.NOT_FOUND, "there is no node")
        except RequestError as error:
            self._writer.file_unavailable(f"raw/{KUBELET_CONFIGURATION}", _state(error), reason=str(error))
            self._progress.add(done=1)
            return
        path = object_path(Node.api, "v1", page.items[0].metadata.name)
        self._raw(KUBELET_CONFIGURATION, f"{path}/proxy/configz")

    def _raw(self, name: str, url_path: str) -> None:
        path = f"raw/{name}"
        until = Deadline(min(_RAW_DEADLINE_SECONDS, self._server.limits.deadline_seconds))
        try:
            self._writer.file(path, self._server.text(url_path, deadline=until).encode())
        except RequestError as error:
            if error.status == HTTPStatus.INTERNAL_SERVER_ERROR and error.body.startswith("["):
                self._writer.file(path, error.body.encode())  # what is not ready says so with a 500
            else:
                self._writer.file_unavailable(path, _state(error), reason=str(error))
        self._progress.add(done=1)

    def _unavailable(
        self, api: Api, version: str, error: RequestError, until: Deadline, *, object_name: str | None = None
    ) -> None:
        self._writer.unavailable(
            api,
            version,
            _state(error),
            reason=error.reason,
            object=object_name,
            http_status=error.status,
            tries=until.tries,
        )


def _state(error: RequestError) -> PartState:
    match error.status:
        case HTTPStatus.FORBIDDEN:
            return PartState.FORBIDDEN
        case HTTPStatus.NOT_FOUND | HTTPStatus.METHOD_NOT_ALLOWED:
            return PartState.ABSENT
        case _:
            return PartState.FAILED
