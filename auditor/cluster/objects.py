"""Objects made, read, changed and removed one by one: what probes and benchmarks do to a cluster."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from auditor.cluster.discovery import list_path
from auditor.cluster.pace import Deadline, RequestError
from auditor.cluster.requests import ApiServer, Change
from auditor.facts.parts import CORE_GROUP, Api

T = TypeVar("T")
Manifest = dict[str, Any]
"""An object as JSON has it."""

MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"

_PAGE_OBJECTS = 500
_PIECE_BYTES = 64 * 1024


class ObjectError(RequestError):
    """The API server did not do what was asked of one object or list.

    Attributes:
        verb: as RBAC knows it.
        resource: ``pods``, ``pods/log``, ``persistentvolumeclaims`` …
        namespace: None where the type has none.
        name: of the object; empty for lists.
    """

    def __init__(self, error: RequestError, *, verb: str, resource: str, namespace: str | None, name: str = "") -> None:
        super().__init__(
            error.status,
            error.reason,
            body=error.body,
            retry_after_seconds=error.retry_after_seconds,
            cause=error.cause,
        )
        self.verb = verb
        self.resource = resource
        self.namespace = namespace
        self.name = name

    def __str__(self) -> str:
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.verb} {self.resource}{' ' + self.name if self.name else ''}{where}: {super().__str__()}"

    @property
    def missing_permission(self) -> str | None:
        """What the account lacks, such as ``create pods in namespace data``; None where rights are not the trouble.

        Quotas, webhooks and Pod Security answer 403 too; only an authorizer says that a user "cannot".
        """
        if self.status != HTTPStatus.FORBIDDEN or " cannot " not in self.reason:
            return None
        return f"{self.verb} {self.resource}{' in namespace ' + self.namespace if self.namespace else ''}"


class Objects:
    """The objects of one cluster. Every call has a deadline, and is tried again while that may help.

    Args:
        server: is asked within its limits.
        deadline_seconds: for each call.
    """

    def __init__(self, server: ApiServer, *, deadline_seconds: float = 30) -> None:
        self.server = server
        self._deadline_seconds = deadline_seconds

    def create(self, api: Api, manifest: Manifest, *, version: str | None = None, dry_run: bool = False) -> Manifest:
        """Make an object, or let the server say what would become of it.

        Raises:
            ObjectError: it was refused, or there is one of that name.
        """
        metadata = manifest["metadata"]
        namespace = metadata.get("namespace")
        path = f"{_folder(api, namespace, version)}?fieldManager=auditor{'&dryRun=All' if dry_run else ''}"
        change = Change(method="POST", body=json.dumps(manifest).encode())
        return self._call("create", api, namespace, metadata.get("name", ""), lambda d: self._json(path, d, change))

    def get(self, api: Api, name: str, *, namespace: str | None = None, version: str | None = None) -> Manifest | None:
        """An object, or None where there is none of that name.

        Raises:
            ObjectError: it could not be read.
        """
        path = _object(api, namespace, name, version)
        try:
            return self._call("get", api, namespace, name, lambda deadline: self._json(path, deadline))
        except ObjectError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def list(
        self,
        api: Api,
        *,
        namespace: str | None = None,
        version: str | None = None,
        labels: str = "",
        fields: str = "",
    ) -> list[Manifest]:
        """The objects of a namespace, or of all, that the selectors select.

        Raises:
            ObjectError: they could not be read.
        """
        found: list[Manifest] = []
        query = f"?limit={_PAGE_OBJECTS}&labelSelector={quote(labels)}&fieldSelector={quote(fields)}"
        path, token = f"{_folder(api, namespace, version)}{query}", ""
        while True:
            page_path = f"{path}&continue={quote(token)}" if token else path
            page = self._call("list", api, namespace, "", lambda deadline, p=page_path: self._json(p, deadline))  # type: ignore[misc]
            found += page.get("items") or ()
            token = page.get("metadata", {}).get("continue", "")
            if not token:
                return found

    def patch(
        self,
        api: Api,
        name: str,
        change: Mapping[str, Any],
        *,
        namespace: str | None = None,
        version: str | None = None,
        subresource: str = "",
        content_type: str = MERGE_PATCH,
    ) -> Manifest:
        """Change some fields of an object.

        Raises:
            ObjectError: it was refused, or there is none of that name.
        """
        path = (
            f"{_object(api, namespace, name, version)}{'/' + subresource if subresource else ''}?fieldManager=auditor"
        )
        sent = Change(method="PATCH", body=json.dumps(change).encode(), content_type=content_type)
        return self._call(
            "patch", api, namespace, name, lambda deadline: self._json(path, deadline, sent), subresource=subresource
        )

    def delete(
        self,
        api: Api,
        name: str,
        *,
        namespace: str | None = None,
        version: str | None = None,
        grace_seconds: int | None = None,
        uid: str = "",
    ) -> bool:
        """Remove an object and what it owns, in the background; False where there is none of that name.

        With a uid only that very object is removed; another of its name is a conflict.

        Raises:
            ObjectError: it was refused.
        """
        options: Manifest = {"propagationPolicy": "Background"}
        if uid:
            options["preconditions"] = {"uid": uid}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        sent = Change(method="DELETE", body=json.dumps(options).encode())
        path = _object(api, namespace, name, version)
        try:
            self._call("delete", api, namespace, name, lambda deadline: self._json(path, deadline, sent))
        except ObjectError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return False
            raise
        return True

    def evict(self, api: Api, name: str, *, namespace: str, dry_run: bool = False) -> None:
        """Ask for the eviction of a pod, which its disruption budget may refuse with 429; that is not tried again.

        Raises:
            ObjectError: it was refused.
        """
        body: Manifest = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace},
        }
        if dry_run:
            body["deleteOptions"] = {"dryRun": ["All"]}
        sent = Change(method="POST", body=json.dumps(body).encode())
        path = f"{_object(api, namespace, name, None)}/eviction{'?dryRun=All' if dry_run else ''}"
        try:
            self._json(path, Deadline(self._deadline_seconds), sent)
        except RequestError as error:
            raise ObjectError(error, verb="create", resource="pods/eviction", namespace=namespace, name=name) from error

    def log(self, api: Api, pod: str, *, namespace: str, container: str = "", tail_lines: int | None = None) -> str:
        """What a pod has written so far.

        Raises:
            ObjectError: it could not be read, for example because no container has started yet.
        """
        tail = f"&tailLines={tail_lines}" if tail_lines is not None else ""
        path = f"{_object(api, namespace, pod, None)}/log?container={quote(container)}{tail}"
        return self._call(
            "get", api, namespace, pod, lambda deadline: self._bytes(path, deadline).decode(errors="replace"),
            subresource="log",
        )  # fmt: skip

    def watch(self, api: Api, *, namespace: str, labels: str = "", seconds: float) -> Iterator[tuple[str, Manifest]]:
        """What happens to a namespace's objects, as it happens: ``ADDED``, ``MODIFIED``, ``DELETED`` and the object.

        It begins with those that are there, and ends after so many seconds; a watch that the server ends early is
        begun again, so that an object may come twice.

        Raises:
            ObjectError: it was refused.
        """
        overall = Deadline(seconds)
        while overall.left_seconds > 0:
            left = max(1, int(overall.left_seconds))
            path = f"{_folder(api, namespace, None)}?watch=1&timeoutSeconds={left}&labelSelector={quote(labels)}"
            try:
                yield from self._events(path, overall)
            except RequestError as error:
                if error.is_final:
                    raise ObjectError(error, verb="watch", resource=api.plural, namespace=namespace) from error

    def json(self, path: str, shape: type[T]) -> T:
        """An answer that is no object, such as discovery's.

        Raises:
            RequestError: it did not come, or is something else.
        """
        return self.server.json(path, shape, deadline=Deadline(self._deadline_seconds))

    def _events(self, path: str, deadline: Deadline) -> Iterator[tuple[str, Manifest]]:
        with self.server.open(path, deadline=deadline) as answer:
            rest = b""
            while deadline.left_seconds > 0:
                piece = answer.body.read1(_PIECE_BYTES)
                if not piece:
                    return
                *lines, rest = (rest + piece).split(b"\n")
                for line in filter(None, lines):
                    event = msgspec.json.decode(line)
                    if event["type"] == "ERROR":
                        return
                    yield event["type"], event["object"]

    def _call(
        self,
        verb: str,
        api: Api,
        namespace: str | None,
        name: str,
        attempt: Callable[[Deadline], T],
        *,
        subresource: str = "",
    ) -> T:
        deadline = Deadline(self._deadline_seconds)
        resource = f"{api.plural}/{subresource}" if subresource else api.plural
        try:
            return self.server.insist(lambda: attempt(deadline), deadline)
        except RequestError as error:
            raise ObjectError(error, verb=verb, resource=resource, namespace=namespace, name=name) from error

    def _json(self, path: str, deadline: Deadline, change: Change | None = None) -> Manifest:
        data = self._bytes(path, deadline, change)
        try:
            return msgspec.json.decode(data, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise RequestError(None, f"the answer is not that of an API server ({error})") from error

    def _bytes(self, path: str, deadline: Deadline, change: Change | None = None) -> bytes:
        with self.server.open(path, accept="*/*", deadline=deadline, change=change) as answer:
            pieces = []
            while piece := answer.body.read(_PIECE_BYTES):
                pieces.append(piece)
            return b"".join(pieces)


def _folder(api: Api, namespace: str | None, version: str | None) -> str:
    version = version or api.versions[0]
    if not namespace:
        return list_path(api, version)
    root = f"/api/{version}" if api.group == CORE_GROUP else f"/apis/{api.group}/{version}"
    return f"{root}/namespaces/{namespace}/{api.plural}"


def _object(api: Api, namespace: str | None, name: str, version: str | None) -> str:
    return f"{_folder(api, namespace, version)}/{quote(name, safe=':')}"
