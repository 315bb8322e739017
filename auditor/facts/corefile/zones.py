"""The addresses at the head of a server block, and zones: ``dns://example.org:53``, ``10.0.0.0/24``, ``.``."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

DEFAULT_PORTS = {"dns": "53", "tls": "853", "quic": "853", "grpc": "443", "https": "443", "https3": "443", "unix": ""}
"""The transports that CoreDNS speaks, and the port of each where none is given."""

IPV4_REVERSE = "in-addr.arpa."
IPV6_REVERSE = "ip6.arpa."

_PORT = re.compile(r"[+-]?[0-9]+", re.ASCII)
_PREFIX = re.compile(r"[0-9a-fA-F:.]+/[0-9]{1,3}", re.ASCII)
_ENVIRONMENT = re.compile(r"\{\$[^}]+\}|\{%.+?%\}", re.DOTALL)

_LONGEST_LABEL = 63
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class Address:
    """What a server block serves.

    Attributes:
        transport: a key of :data:`DEFAULT_PORTS`.
        zone: in lower case with the final dot; ``.`` is everything.
        port: as text, since it may come from an environment variable.
    """

    transport: str
    zone: str
    port: str

    def __str__(self) -> str:
        return f"{self.transport}://{self.zone}:{self.port}"


def is_symbolic(text: str) -> bool:
    """Whether a word holds an environment variable (``{$NAME}`` or ``{%NAME%}``), whose value cannot be known here."""
    return _ENVIRONMENT.search(text) is not None


def addresses_of(key: str) -> tuple[Address, ...]:
    """What one word at the head of a server block stands for: several zones where a network needs several.

    Raises:
        ValueError: CoreDNS would refuse it.
    """
    head, separator, rest = key.partition("://")
    transport, host = (head, rest) if separator and head in DEFAULT_PORTS else ("dns", key)
    zones, port = _zones_and_port(host)
    return tuple(Address(transport, zone, port or DEFAULT_PORTS[transport]) for zone in zones)


def zones_of(name: str) -> tuple[str, ...]:
    """The zones that an argument of a plugin stands for; none where CoreDNS would silently leave it out."""
    try:
        return tuple(address.zone for address in addresses_of(name))
    except ValueError:
        return ()


def is_within(name: str, zone: str) -> bool:
    """Whether a name, in lower case with the final dot, is the zone itself or lies below it."""
    return zone == "." or name == zone or name.endswith(f".{zone}")


def closest(name: str, zones: tuple[str, ...]) -> str | None:
    """The longest of the zones that a name lies in."""
    return max((zone for zone in zones if is_within(name, zone)), key=len, default=None)


def is_reverse(zone: str) -> bool:
    """Whether a zone is for addresses: ``in-addr.arpa.``, ``ip6.arpa.`` or below."""
    return is_within(zone, IPV4_REVERSE) or is_within(zone, IPV6_REVERSE)


def _zones_and_port(text: str) -> tuple[tuple[str, ...], str]:
    before, colon, after = text.rpartition(":")
    if colon and not after:
        raise ValueError("expecting data after the last colon")
    host, port = text, ""
    if colon and (_PORT.fullmatch(after) or is_symbolic(after)):
        host, port = before, after if is_symbolic(after) else str(int(after))
    if is_symbolic(host):
        return (_qualified(host),), port
    if len(host.encode()) > _LONGEST_NAME:
        raise ValueError(f"the zone is longer than {_LONGEST_NAME} bytes")
    if not _is_domain_name(host):
        raise ValueError(f"{host!r} is not a domain name")
    return _reverse_zones(host) or (_qualified(host),), port


def _qualified(name: str) -> str:
    lower = name.lower()
    return lower if lower.endswith(".") else f"{lower}."


def _is_domain_name(name: str) -> bool:
    labels = name.removesuffix(".").split(".") if name != "." else []
    if name == "" or "" in labels:
        return False
    # An escaped dot belongs to its label; a name with backslashes is taken as it stands.
    return "\\" in name or all(len(label.encode()) <= _LONGEST_LABEL for label in labels)


def _reverse_zones(text: str) -> tuple[str, ...]:
    """The zones of a network in CIDR notation; none where the text is no network."""
    if not _PREFIX.fullmatch(text):
        return ()
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return ()
    if network.version == 6 and text.startswith(("0", ":")):
        raise ValueError(f"{text!r} is not a network that CoreDNS takes")
    bits = 8 if network.version == 4 else 4
    parts = network.subnets(new_prefix=-(-network.prefixlen // bits) * bits)
    return tuple(_reverse_zone(part, bits) for part in parts)


def _reverse_zone(network: ipaddress.IPv4Network | ipaddress.IPv6Network, bits: int) -> str:
    labels = network.network_address.reverse_pointer.split(".")
    hidden = (network.max_prefixlen - network.prefixlen) // bits
    return f"{'.'.join(labels[hidden:])}."
