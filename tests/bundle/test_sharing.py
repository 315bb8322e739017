"""Sharing changes what objects cost, never what they say."""

import tracemalloc
from typing import Any, ClassVar

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from auditor.bundle.sharing import Sharing
from auditor.facts.kube.meta import KubeObject, View
from auditor.facts.parts import Api
from tests.bundle.builders import unhurried


class Inner(View, frozen=True, kw_only=True):
    """Something of everything that a view may hold."""

    flag: bool = False
    number: int | float | None = None
    words: tuple[str, ...] | None = None
    table: dict[str, str] | None = None
    anything: Any = None


class Outer(KubeObject, frozen=True, kw_only=True):
    """A view."""

    api: ClassVar[Api] = Api(group="x", versions=("v1",), plural="outers", kind="Outer", namespaced=False)
    inner: Inner = Inner()
    inners: tuple[Inner, ...] = ()
    by_name: dict[str, Inner] | None = None
    by_other_name: dict[str, Inner] | None = None


WORDS = st.sampled_from(["", "a", "b", "1", "true", "null"])
INNERS = st.fixed_dictionaries(
    {},
    optional={
        "flag": st.booleans(),
        "number": st.sampled_from([0, 1, 0.0, 1.0, 2**80]),
        "words": st.lists(WORDS, max_size=3),
        "table": st.dictionaries(WORDS, WORDS, max_size=3),
        "anything": st.sampled_from([None, 1, 1.0, True, "1", [1], {"a": True}, {"a": 1}]),
    },
)
OUTERS = st.fixed_dictionaries(
    {"metadata": st.fixed_dictionaries({"name": WORDS, "labels": st.dictionaries(WORDS, WORDS)})},
    optional={
        "inner": INNERS,
        "inners": st.lists(INNERS, max_size=3),
        "byName": st.dictionaries(WORDS, INNERS, max_size=2),
        "byOtherName": st.dictionaries(WORDS, INNERS, max_size=2),
    },
)


def decoded(outers: list[dict[str, Any]]) -> list[Outer]:
    return msgspec.convert(outers, list[Outer])


@unhurried
@given(st.lists(OUTERS, max_size=6))
def test_shared_objects_say_the_same(outers: list[dict[str, Any]]) -> None:
    share = Sharing().share

    shared = [share(outer) for outer in decoded(outers)]

    assert shared == decoded(outers)
    assert msgspec.json.encode(shared) == msgspec.json.encode(decoded(outers))  # 1, 1.0 and true are equal to Python


def test_equal_parts_become_one() -> None:
    outer = {"metadata": {"name": "x", "labels": {"a": "b"}}, "inners": [{"words": ["long"]}, {"flag": True}]}
    share = Sharing().share

    first, second = (share(found) for found in decoded([outer, outer]))

    assert first is not second
    assert first.metadata.labels is second.metadata.labels
    assert first.inners is second.inners


def test_a_new_whole_shares_its_known_parts() -> None:
    share = Sharing().share
    known = {"words": ["long"], "table": {"a": "b"}}

    first, second = (
        share(found)
        for found in decoded(
            [
                {"metadata": {"name": "x"}, "inners": [known, {"flag": True}]},
                {"metadata": {"name": "y"}, "inners": [known, {"flag": False}]},
            ]
        )
    )

    assert first.inners[0] is second.inners[0]


def test_memory_stays_bounded_where_nothing_is_alike() -> None:
    share = Sharing().share
    encoded = [msgspec.json.encode({"metadata": {"name": f"a name that nobody else has, {n}"}}) for n in range(30_000)]

    tracemalloc.start()
    for item in encoded:
        share(msgspec.json.decode(item, type=Outer))
    left, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert left < 3 * 2**20  # without a bound it would be 30,000 names in a table, about 5 MiB
