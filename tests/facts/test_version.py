"""Versions of Kubernetes: every vendor's way to write one, their order and their distance."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.facts.parts import OK, PartState, PartStatus, UnreadableError
from auditor.facts.store import Facts, PartFacts
from auditor.facts.version import SERVER_VERSION, KubeVersion, parse_version, server_version

versions = st.builds(
    KubeVersion,
    st.integers(1, 3),
    st.integers(0, 99),
    st.integers(0, 99),
    st.sampled_from(("", "-eks-113cf36", "+k3s1", "-gke.1389002", "-aliyun.1", "+rke2r1", "-rc.1", "+0e5b1a4")),
)


def facts(text: str) -> Facts:
    return Facts({SERVER_VERSION.key: PartFacts(OK, text)})


@pytest.mark.parametrize(
    ("text", "release", "suffix"),
    [
        ("v1.35.4", "1.35", ""),
        ("v1.33.5-eks-113cf36", "1.33", "-eks-113cf36"),
        ("v1.34.1-gke.3971000", "1.34", "-gke.3971000"),
        ("v1.31.9-aliyun.1", "1.31", "-aliyun.1"),
        ("v1.30.1+k3s1", "1.30", "+k3s1"),
        ("v1.31.6+2b9d4a1", "1.31", "+2b9d4a1"),
        ("v1.37.0-alpha.3.215+8a7f4e2", "1.37", "-alpha.3.215+8a7f4e2"),
        ("1.29", "1.29", ""),
    ],
)
def test_vendors_add_to_the_release(text: str, release: str, suffix: str) -> None:
    version = parse_version(text)

    assert (version.release, version.suffix) == (release, suffix)


@pytest.mark.parametrize("text", ["", "v0.0.0-master+$Format:%H$", "kwok-v0.6.1", "fake", "v1", "v1.x.0"])
def test_what_names_no_release_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no version of Kubernetes"):
        parse_version(text)


@given(versions)
def test_what_is_written_can_be_read(version: KubeVersion) -> None:
    again = parse_version(str(version))

    assert again == version
    assert again.suffix == version.suffix


@given(versions, versions)
def test_order_is_that_of_releases(one: KubeVersion, other: KubeVersion) -> None:
    assert (one < other) == ((one.major, one.minor, one.patch) < (other.major, other.minor, other.patch))


@given(st.integers(0, 99), st.integers(0, 99))
def test_distance_is_counted_in_minor_releases(one: int, other: int) -> None:
    older, newer = KubeVersion(1, one, 9), KubeVersion(1, other, 1)

    assert older.minors_behind(newer) == other - one == -newer.minors_behind(older)


def test_there_is_no_distance_between_major_versions() -> None:
    with pytest.raises(ValueError, match="major"):
        KubeVersion(1, 40).minors_behind(KubeVersion(2, 0))


def test_the_servers_answer_and_kubectls_print_are_both_understood() -> None:
    answer = {"major": "1", "minor": "33+", "gitVersion": "v1.33.5-eks-113cf36", "platform": "linux/amd64"}
    printed = {"clientVersion": {"gitVersion": "v1.35.0"}, "serverVersion": answer}

    assert server_version(facts(json.dumps(answer))) == KubeVersion(1, 33, 5)
    assert server_version(facts(json.dumps(printed))) == KubeVersion(1, 33, 5)


@pytest.mark.parametrize("text", ["", "{}", "404 page not found", "[]", '{"gitVersion": 1}'])
def test_another_answer_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="version"):
        server_version(facts(text))


def test_an_answer_that_was_not_read_stays_unread() -> None:
    forbidden = PartStatus(state=PartState.FORBIDDEN)

    with pytest.raises(UnreadableError):
        server_version(Facts({SERVER_VERSION.key: PartFacts(forbidden)}))
