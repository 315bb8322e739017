"""A replica of a StatefulSet: it knows itself by a marker on its volume, waits for names, and then watches its peers.

It is Ready, which means that it accepts connections, once its own name resolves to its own address and the names of the
replicas before it resolve: in an ordered start those are all that there can be. The names are asked of DNS and not of
the system's resolver, which knows the pod's own name from ``/etc/hosts``.

It runs until it is ended. Observations have a ``what``:

``identity``: hostname, marker, the replica that wrote it, and how often one has started on this volume.
``names``: how long the names took, or that they were given up, and those that do not resolve.
``peer``: the addresses of a replica's name, whenever they change.

Arguments:
    set: the name of the StatefulSet.
    domain: what follows the name of a pod: ``<service>.<namespace>.svc``.
    replicas: how many peers to watch.
    folder: the volume.
    names_seconds: after which it becomes Ready without the names.
    port: of the readiness probe.
    addresses_variable: the environment variable that holds the pod's addresses, separated by commas.
"""

from __future__ import annotations

import ipaddress
import json
import os
import select
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dns.exception
import dns.resolver

_FIRST_LOOK_SECONDS = 0.7
"""A name that is asked for before it is published stays unknown in caches for some seconds."""
_LOOK_SECONDS = 1.0
_WATCH_SECONDS = 2.0
_LIFETIME_SECONDS = 3.0
_GAVE_UP_SECONDS = 2.0
"""How long a replica waits for names that it has given up before."""
_NO_ADDRESS = "no address"
_GAVE_UP = "gave-up"
_MARKER = "marker.json"
_STARTS = "starts"


def run(arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Live as a replica."""
    folder = Path(arguments["folder"])
    hostname = socket.gethostname()
    yield {"what": "identity", "hostname": hostname, **identity(folder, hostname)}
    names = [f"{arguments['set']}-{ordinal}" for ordinal in range(arguments["replicas"])]
    watch = Watch(arguments["domain"])
    needed = names[: names.index(hostname) + 1] if hostname in names else [hostname]
    own = addresses(os.environ.get(arguments["addresses_variable"], "").split(","))
    yield from _await_names(watch, needed, own, folder, arguments["names_seconds"])
    with _listener(arguments["port"]) as listener:
        while True:
            for name in names:
                yield from watch.look(name)
            _accept(listener, _WATCH_SECONDS)


def identity(folder: Path, hostname: str) -> dict[str, Any]:
    """What the volume says: the marker, which the first to come writes, and one more start."""
    file = folder / _MARKER
    if not file.exists():
        _write(file, json.dumps({"marker": uuid.uuid4().hex, "written_by": hostname}))
    starts = folder / _STARTS
    count = (int(starts.read_text()) if starts.exists() else 0) + 1
    _write(starts, str(count))
    found = json.loads(file.read_text())
    return {"marker": found["marker"], "written_by": found["written_by"], "starts": count}


def addresses(texts: list[str]) -> set[str]:
    """Addresses as they are compared, whatever way they are written in."""
    return {str(ipaddress.ip_address(text.strip())) for text in texts if text.strip()}


class Watch:
    """What DNS says of the replicas' names, and when that changes.

    Args:
        domain: what follows a pod's name.
    """

    def __init__(self, domain: str) -> None:
        self.said: dict[str, tuple[set[str], str]] = {}
        self._resolver = dns.resolver.Resolver()
        self._domain = f"{domain}{cluster_domain([each.to_text() for each in self._resolver.search])}"

    def look(self, pod: str) -> Iterator[dict[str, Any]]:
        """Ask once; an observation where the answer is another one than before."""
        found = self._ask(f"{pod}.{self._domain}")
        if found != self.said.get(pod):
            self.said[pod] = found
            yield {"what": "peer", "name": pod, "addresses": sorted(found[0]), "error": found[1]}

    def _ask(self, name: str) -> tuple[set[str], str]:
        """The addresses, or what DNS says instead."""
        found, error = self._of_kind(name, "A")
        return self._of_kind(name, "AAAA") if error == _NO_ADDRESS else (found, error)

    def _of_kind(self, name: str, kind: str) -> tuple[set[str], str]:
        try:
            answer = self._resolver.resolve(name, kind, search=True, lifetime=_LIFETIME_SECONDS)
        except dns.resolver.NoAnswer:
            return set(), _NO_ADDRESS
        except dns.resolver.NXDOMAIN:
            return set(), "NXDOMAIN"
        except dns.exception.DNSException as problem:
            return set(), f"{type(problem).__name__}: {problem}"[:300]
        return addresses([record.to_text() for record in answer]), ""


def cluster_domain(search: list[str]) -> str:
    """What follows ``svc``, told from the pod's search list; empty where it has no such entry.

    The full name is asked for once; the other names that the list gives would be asked of servers outside.
    """
    return next((each[len("svc") :] for each in search if each.startswith("svc.")), "")


def _await_names(
    watch: Watch, needed: list[str], own: set[str], folder: Path, seconds: float
) -> Iterator[dict[str, Any]]:
    """Ask until all names resolve, the own one to the own address, or so many seconds have passed."""
    started = time.monotonic()
    gave_up = folder / _GAVE_UP
    deadline = started + (_GAVE_UP_SECONDS if gave_up.exists() else seconds)
    time.sleep(_FIRST_LOOK_SECONDS)
    while True:
        for name in needed:
            yield from watch.look(name)
        missing = {name: watch.said[name][1] for name in needed if not watch.said[name][0]}
        if not missing and own and not own & watch.said[needed[-1]][0]:
            missing = {needed[-1]: f"resolves to {', '.join(sorted(watch.said[needed[-1]][0]))}"}
        waited = time.monotonic() - started
        if not missing:
            if gave_up.exists():
                gave_up.unlink()
            yield {"what": "names", "seconds": waited, "unresolved": {}}
            return
        if time.monotonic() > deadline:
            _write(gave_up, "")
            yield {"what": "names", "seconds": None, "unresolved": missing}
            return
        time.sleep(_LOOK_SECONDS)


def _listener(port: int) -> socket.socket:
    try:
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    except (OSError, ValueError):  # a pod without IPv6
        return socket.create_server(("", port))


def _accept(listener: socket.socket, seconds: float) -> None:
    """Answer readiness probes for so long."""
    end = time.monotonic() + seconds
    while True:
        left = end - time.monotonic()
        if left <= 0:
            return
        if select.select([listener], [], [], left)[0]:
            listener.accept()[0].close()


def _write(file: Path, text: str) -> None:
    """As a whole, and on the disk."""
    new = file.with_suffix(".new")
    with new.open("w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(file)
