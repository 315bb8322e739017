"""What the proxy in front of the API server does to which requests: actions, rules, and how requests are understood."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

_WRITE_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}
_RESOURCE_PATH = re.compile(
    r"^/(?:api|apis/[^/]+)/[^/]+"
    r"(?:/namespaces/(?P<namespace>[^/]+)(?=/))?"
    r"/(?P<resource>[^/]+)(?:/(?P<name>[^/]+)(?:/(?P<subresource>[^/]+))?)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Answer with an error of the API's own kind, or with a text, without asking the API server."""

    status: int
    reason: str = ""
    message: str = "so says the proxy of the test bed"
    retry_after_seconds: int | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Delay:
    """Forward, but only after a while."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Drop:
    """Break the connection: after so many bytes of the body, or before any answer."""

    after_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Truncate:
    """Answer as if all were well, with only a share of the body."""

    keep_share: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as the API server understands it.

    Attributes:
        verb: as in RBAC: get, list, watch, create, update, patch, delete, deletecollection.
        path: with its query.
        resource: with its subresource, as in RBAC: ``pods``, ``pods/log``; empty for paths that name none.
    """

    verb: str
    path: str
    resource: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What to do with which requests, how often.

    Attributes:
        do: what to do with a request that the rule catches.
        path: regular expression that the path with its query contains.
        verb: as in RBAC; any if empty.
        resource: as in RBAC, with the subresource; any if empty.
        namespace: any if empty.
        skip: how many requests that match to let pass first.
        times: how many to catch after those; without end if None.
        seconds: for how long to catch, from the first one caught; without end if None.
    """

    do: Answer | Delay | Drop | Truncate
    path: str = ""
    verb: str = ""
    resource: str = ""
    namespace: str = ""
    skip: int = 0
    times: int | None = None
    seconds: float | None = None

    def matches(self, request: Request) -> bool:
        """Whether a request is of the kind that the rule is for."""
        wanted = ((self.verb, request.verb), (self.resource, request.resource), (self.namespace, request.namespace))
        return all(want in ("", found) for want, found in wanted) and bool(re.search(self.path, request.path))


@dataclass(slots=True)
class RuleState:
    """A rule, and how far it has come."""

    rule: Rule
    matched: int = 0
    first_caught: float = 0.0

    def catches(self, request: Request) -> bool:
        """Whether the rule catches a request; counts it if it is of the rule's kind."""
        if not self.rule.matches(request):
            return False
        caught_before = self.matched - self.rule.skip
        self.matched += 1
        if caught_before == 0:
            self.first_caught = time.monotonic()
        in_time = self.rule.seconds is None or time.monotonic() - self.first_caught <= self.rule.seconds
        return caught_before >= 0 and (self.rule.times is None or caught_before < self.rule.times) and in_time


def understand(method: str, path: str) -> Request:
    """What a method and a path with its query ask for."""
    found = _RESOURCE_PATH.match(path.partition("?")[0])
    parts = found.groupdict("") if found else dict.fromkeys(("namespace", "resource", "name", "subresource"), "")
    resource = "/".join(filter(None, (parts["resource"], parts["subresource"])))
    name = parts["name"]
    if method == "GET":
        verb = "watch" if re.search(r"[?&]watch=(true|1)\b", path) else "list" if resource and not name else "get"
    elif method == "DELETE":
        verb = "delete" if name else "deletecollection"
    else:
        verb = _WRITE_VERBS.get(method, method.lower())
    return Request(verb=verb, path=path, resource=resource, namespace=parts["namespace"], name=name)
