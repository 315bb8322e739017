"""Addresses of server blocks and reverse zones, as CoreDNS takes them apart."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.facts.corefile.zones import (
    addresses_of,
    closest,
    is_reverse,
    is_symbolic,
    is_within,
    zones_of,
)


def written(key: str) -> list[str]:
    return [str(address) for address in addresses_of(key)]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (".", ["dns://.:53"]),
        (".:5353", ["dns://.:5353"]),
        ("Cluster.Local", ["dns://cluster.local.:53"]),
        ("cluster.local.:053", ["dns://cluster.local.:53"]),
        ("dns://example.org:1053", ["dns://example.org.:1053"]),
        ("tls://example.org", ["tls://example.org.:853"]),
        ("https://example.org", ["https://example.org.:443"]),
        ("grpc://.", ["grpc://.:443"]),
        ("http://example.org", ["dns://http://example.org.:53"]),  # no transport of CoreDNS
        ("10.0.0.0/24", ["dns://0.0.10.in-addr.arpa.:53"]),
        ("10.1.2.3/8:54", ["dns://10.in-addr.arpa.:54"]),
        ("10.0.0.0/15", ["dns://0.10.in-addr.arpa.:53", "dns://1.10.in-addr.arpa.:53"]),
        ("10.0.0.1/32", ["dns://1.0.0.10.in-addr.arpa.:53"]),
        ("0.0.0.0/0", ["dns://in-addr.arpa.:53"]),
        ("2001:db8::/32", ["dns://8.b.d.0.1.0.0.2.ip6.arpa.:53"]),
        ("fd00::/7", ["dns://c.f.ip6.arpa.:53", "dns://d.f.ip6.arpa.:53"]),
        ("10.0.0.0", ["dns://10.0.0.0.:53"]),  # an address without a prefix is a name
        ("10.0.0.0/33", ["dns://10.0.0.0/33.:53"]),
        ("{$ZONE}:{$PORT}", ["dns://{$zone}.:{$PORT}"]),
        ("{%ZONE%}", ["dns://{%zone%}.:53"]),
        ("__PILLAR__DNS__DOMAIN__:53", ["dns://__pillar__dns__domain__.:53"]),
    ],
)
def test_addresses(key: str, expected: list[str]) -> None:
    assert written(key) == expected


@pytest.mark.parametrize("key", ["", ":53", "a:", "a..b", ".a", "x" * 64, ".".join(["y" * 50] * 6), "::/0", "0::/8"])
def test_refused(key: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        addresses_of(key)
    assert zones_of(key) == ()


@given(st.text())
def test_nothing_but_value_errors(key: str) -> None:
    try:
        found = addresses_of(key)
    except ValueError:
        return
    assert found
    assert all(address.zone.endswith(".") for address in found)


@given(st.ip_addresses(v=4), st.integers(0, 32), st.ip_addresses(v=4))
def test_reverse_zones_hold_just_the_addresses_of_the_network(
    base: ipaddress.IPv4Address, prefix: int, probe: ipaddress.IPv4Address
) -> None:
    network = ipaddress.ip_network(f"{base}/{prefix}", strict=False)
    zones = zones_of(f"{base}/{prefix}")

    assert all(map(is_reverse, zones))
    assert (closest(f"{probe.reverse_pointer}.", zones) is not None) == (probe in network)


def test_within() -> None:
    assert is_within("a.b.", ".")
    assert is_within("a.b.", "b.")
    assert is_within("b.", "b.")
    assert not is_within("ab.", "b.")
    assert closest("a.b.c.", ("c.", ".", "b.c.", "x.")) == "b.c."
    assert closest("a.", ("b.",)) is None


@pytest.mark.parametrize(("text", "expected"), [("{$A}", True), ("x{%A%}y", True), ("{$}", False), ("{A}", False)])
def test_symbolic(text: str, *, expected: bool) -> None:
    assert is_symbolic(text) is expected
