"""The task of a StatefulSet's replica: what its volume tells it, and what it says of names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dns.exception
import dns.name
import dns.resolver
import pytest

from auditor.sandbox.agent.tasks import peer


def raised(kind: type[Exception]) -> Exception:
    """An error of dnspython, whose own constructors have no types."""
    return kind()


class Record:
    """An address record."""

    def __init__(self, address: str) -> None:
        self._address = address

    def to_text(self) -> str:
        return self._address


class Resolver:
    """A resolver that answers from a table, by name and kind."""

    def __init__(self, table: dict[tuple[str, str], Any]) -> None:
        self.table = table
        self.search = [dns.name.from_text("n.svc.example."), dns.name.from_text("svc.example.")]

    def resolve(self, name: str, kind: str, **_: Any) -> list[Record]:
        found = self.table.get((name, kind), raised(dns.resolver.NXDOMAIN))
        if isinstance(found, Exception):
            raise found
        return [Record(each) for each in found]


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], Any]:
    answers: dict[tuple[str, str], Any] = {}
    monkeypatch.setattr(dns.resolver, "Resolver", lambda: Resolver(answers))
    for name in ("_FIRST_LOOK_SECONDS", "_LOOK_SECONDS", "_GAVE_UP_SECONDS"):
        monkeypatch.setattr(peer, name, 0.0)
    return answers


def words(found: Iterator[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {each["what"]: each for each in found}


class TestTheVolume:
    def test_gets_a_marker_from_the_first_to_come(self, tmp_path: Path) -> None:
        first = peer.identity(tmp_path, "s-1")
        second = peer.identity(tmp_path, "s-9")

        assert (first["written_by"], first["starts"]) == ("s-1", 1)
        assert second == {**first, "starts": 2}

    def test_has_a_marker_of_its_own(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()

        assert peer.identity(tmp_path / "a", "s-0")["marker"] != peer.identity(tmp_path / "b", "s-0")["marker"]


class TestAWatch:
    def test_tells_changes_only(self, table: dict[tuple[str, str], Any]) -> None:
        watch = peer.Watch("s.n.svc")

        assert [each["error"] for each in watch.look("s-0")] == ["NXDOMAIN"]
        assert not list(watch.look("s-0"))
        table["s-0.s.n.svc.example.", "A"] = ["10.0.0.1"]
        assert [each["addresses"] for each in watch.look("s-0")] == [["10.0.0.1"]]
        assert not list(watch.look("s-0"))

    def test_takes_the_other_family_where_there_is_only_that(self, table: dict[tuple[str, str], Any]) -> None:
        table["s-0.s.n.svc.example.", "A"] = raised(dns.resolver.NoAnswer)
        table["s-0.s.n.svc.example.", "AAAA"] = ["FD00:0::1"]

        assert [each["addresses"] for each in peer.Watch("s.n.svc").look("s-0")] == [["fd00::1"]]

    def test_says_what_went_wrong(self, table: dict[tuple[str, str], Any]) -> None:
        table["s-0.s.n.svc.example.", "A"] = raised(dns.exception.Timeout)

        [said] = peer.Watch("s.n.svc").look("s-0")

        assert said["addresses"] == []
        assert "Timeout" in said["error"]


class TestWaitingForNames:
    def wait(self, folder: Path, *, own: str = "10.0.0.2", seconds: float = 0.0) -> dict[str, dict[str, Any]]:
        found = peer._await_names(peer.Watch("s.n.svc"), ["s-0", "s-1"], {own}, folder, seconds)
        return words(found)

    def test_ends_when_all_are_there(self, table: dict[tuple[str, str], Any], tmp_path: Path) -> None:
        table.update({("s-0.s.n.svc.example.", "A"): ["10.0.0.1"], ("s-1.s.n.svc.example.", "A"): ["10.0.0.2"]})

        assert self.wait(tmp_path)["names"]["unresolved"] == {}
        assert self.wait(tmp_path)["names"]["seconds"] is not None

    def test_is_given_up_and_remembered(self, table: dict[tuple[str, str], Any], tmp_path: Path) -> None:
        table["s-0.s.n.svc.example.", "A"] = ["10.0.0.1"]

        assert self.wait(tmp_path)["names"] == {"what": "names", "seconds": None, "unresolved": {"s-1": "NXDOMAIN"}}
        assert self.wait(tmp_path, seconds=3600)["names"]["seconds"] is None

    def test_is_for_the_own_address(self, table: dict[tuple[str, str], Any], tmp_path: Path) -> None:
        table.update({("s-0.s.n.svc.example.", "A"): ["10.0.0.1"], ("s-1.s.n.svc.example.", "A"): ["10.0.0.9"]})

        assert self.wait(tmp_path)["names"]["unresolved"] == {"s-1": "resolves to 10.0.0.9"}

    def test_begins_anew_once_names_came(self, table: dict[tuple[str, str], Any], tmp_path: Path) -> None:
        self.wait(tmp_path)
        assert (tmp_path / "gave-up").exists()
        table.update({("s-0.s.n.svc.example.", "A"): ["10.0.0.1"], ("s-1.s.n.svc.example.", "A"): ["10.0.0.2"]})

        self.wait(tmp_path)

        assert not (tmp_path / "gave-up").exists()


def test_the_cluster_domain_is_told_from_the_search_list() -> None:
    assert peer.cluster_domain(["n.svc.kube.local.", "svc.kube.local.", "kube.local.", "corp."]) == ".kube.local."
    assert peer.cluster_domain(["corp."]) == ""


def test_addresses_are_compared_however_they_are_written() -> None:
    assert peer.addresses(["FD00::0:1", " 10.0.0.1 ", ""]) == {"fd00::1", "10.0.0.1"}
