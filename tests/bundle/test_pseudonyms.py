"""Pseudonyms: nothing of a node's name or an address is left, and equal things stay equal."""

import ipaddress
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from auditor.bundle import Pseudonyms
from tests.bundle.builders import unhurried

NODE = "worker-7.prod.example.com"
PSEUDONYM = r"node-[0-9a-f]{12}"
ADDRESS = r"addr-[0-9a-f]{12}"

LABEL = st.from_regex(r"[a-z]{2}[a-z0-9]{2,8}(-[a-z0-9]{1,6}){0,2}", fullmatch=True)
NODE_NAMES = st.lists(st.lists(LABEL, min_size=1, max_size=3).map(".".join), min_size=1, max_size=5)
AROUND = st.sampled_from(["", " ", "/", ":", '"', "(", ")", ",", "=", "@", "[", "]", "\n", "'"])


def hidden(text: str, *names: str) -> str:
    return Pseudonyms(names or (NODE,), salt=b"salt").text(text)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        (NODE, PSEUDONYM),
        ("worker-7", PSEUDONYM),
        ("WORKER-7.prod.example.com", PSEUDONYM),
        (f"kube-proxy-{NODE}", f"kube-proxy-{PSEUDONYM}"),
        (f"https://{NODE}:10250/metrics", f"https://{PSEUDONYM}:10250/metrics"),
        (f"{NODE}.", rf"{PSEUDONYM}\."),
        (f"0/3 nodes: {NODE}, worker-7 full", f"0/3 nodes: {PSEUDONYM}, {PSEUDONYM} full"),
        (f'{{"node":"{NODE}"}}', rf'\{{"node":"{PSEUDONYM}"\}}'),
        ("10.0.0.1", ADDRESS),
        ("10.0.0.1:9092,10.0.0.2:9092", f"{ADDRESS}:9092,{ADDRESS}:9092"),
        ("10.244.3.0/24", f"{ADDRESS}/24"),
        ("dial tcp 10.0.0.1: refused", f"dial tcp {ADDRESS}: refused"),
        ("Seen at 10.0.0.1.", rf"Seen at {ADDRESS}\."),
        ("fd00:10:244::/64", f"{ADDRESS}/64"),
        ("[fd00::1]:9092", rf"\[{ADDRESS}\]:9092"),
        ("dial tcp fd00::1: refused", f"dial tcp {ADDRESS}: refused"),
        ("::ffff:10.0.0.1", ADDRESS),
        ("fe80::1%eth0", f"{ADDRESS}%eth0"),
    ],
)
def test_names_and_addresses_are_replaced(text: str, pattern: str) -> None:
    assert re.fullmatch(pattern, hidden(text)), hidden(text)


@pytest.mark.parametrize(
    "text",
    [
        "worker-70",
        "myworker-7",
        "worker",
        "v1.29.3",
        "1.2.3.4.5",
        "999.1.1.1",
        "127.0.0.1:8080",
        "0.0.0.0",  # noqa: S104
        "::1",
        "[::]:10250",
        "2024-06-01T12:34:56Z",
        "12:34:56",
        "registry.example.com/kafka@sha256:" + "ab" * 32,
        "02:42:ac:11:00:02",
        "std::string",
        "5.15.0-1052-aws",
        "100m",
        "",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert hidden(text) == text


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("minikube", True),
        ("etcd-minikube", True),
        ("node minikube is down", True),
        ("minikube.sigs.k8s.io", False),
        ("minikube-config", False),
        ("MiniKube", False),
    ],
)
def test_a_plain_word_is_a_name_only_by_itself_or_at_the_end(text: str, *, changed: bool) -> None:
    assert (hidden(text, "minikube") != text) is changed


def test_a_number_is_no_name() -> None:
    assert hidden("replicas: 3", "3") == "replicas: 3"


def test_the_longest_name_wins() -> None:
    both = Pseudonyms(["w-1", "w-1-a"], salt=b"salt")

    assert both.text("x-w-1-a") == f"x-{both.text('w-1-a')}"
    assert both.text("w-1-b") == f"{both.text('w-1')}-b"


@pytest.mark.parametrize(
    ("key", "changed"),
    [
        ("example.com/worker-7", True),
        (NODE, True),
        ("master", False),
        ("spec", False),
        ("node-role.kubernetes.io/master", False),
        ("example.com/master", True),
    ],
)
def test_keys(key: str, *, changed: bool) -> None:
    assert (Pseudonyms([NODE, "master", "spec"]).key(key) != key) is changed


@pytest.mark.parametrize(
    ("provider_id", "pattern"),
    [
        ("aws:///eu-central-1a/i-0abc", "aws://id-[0-9a-f]{12}"),
        ("kind://docker/kind/worker-7", "kind://id-[0-9a-f]{12}"),
        ("i-0abc", "id-[0-9a-f]{12}"),
        ("", ""),
    ],
)
def test_a_provider_id_keeps_its_scheme(provider_id: str, pattern: str) -> None:
    names = Pseudonyms([NODE])

    assert re.fullmatch(pattern, names.provider_id(provider_id))
    assert names.provider_id(names.provider_id(provider_id)) == names.provider_id(provider_id)


def test_runs_cannot_be_linked() -> None:
    assert Pseudonyms([NODE]).text(NODE) != Pseudonyms([NODE]).text(NODE)


@unhurried
@given(NODE_NAMES, st.text(), AROUND, AROUND, st.text(), st.data())
def test_no_name_survives(
    names: list[str], before: str, left: str, right: str, after: str, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(names))
    assume(name not in before + after)
    assume(not re.search(r"[-._A-Za-z0-9]$", before + left) and not re.search(r"^[-._A-Za-z0-9]", right + after))

    text = Pseudonyms(names).text(f"{before}{left}{name}{right}{after}")

    assert not re.search(rf"(?<![a-z0-9]){re.escape(name)}(?![a-z0-9])", text)


@unhurried
@given(st.ip_addresses(), AROUND, AROUND)
def test_no_address_survives(address: ipaddress.IPv4Address | ipaddress.IPv6Address, left: str, right: str) -> None:
    assume(not (address.is_loopback or address.is_unspecified))
    assume(not (address.version == 6 and ":" in (left, right)))  # then it is part of a longer one

    text = Pseudonyms([NODE]).text(f"at {left}{address}{right} seen")

    assert str(address) not in text
    assert re.search(ADDRESS, text)


@unhurried
@given(NODE_NAMES, st.text())
def test_twice_is_as_once(names: list[str], text: str) -> None:
    pseudonyms = Pseudonyms(names)
    text = f"{text} {names[0]} 10.1.2.3"

    assert pseudonyms.text(pseudonyms.text(text)) == pseudonyms.text(text)


@unhurried
@given(NODE_NAMES)
def test_different_names_stay_different(names: list[str]) -> None:
    pseudonyms = Pseudonyms(names)

    assert len({pseudonyms.text(name) for name in names}) == len(set(names))
