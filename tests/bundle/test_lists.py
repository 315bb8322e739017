"""Streaming Lists: every layout gives the same items, and nothing damaged passes for whole."""

import io
import json
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.bundle.limits import Limits
from auditor.bundle.lists import list_items
from auditor.bundle.window import BLOCK_BYTES
from auditor.errors import BundleError
from auditor.facts.kube import Node
from tests.bundle.builders import LAYOUTS, Json, api_list, kubectl_list, line_list, node, unhurried

SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)
# strings that look like the ends of items, and structures that do, in the hope of a cut in the wrong place
TRAPS = st.sampled_from(
    ['"},{"metadata":', "},\n{", "},\n        {", ']}"', "\\", '\\"', [{"metadata": {}}, {"metadata": {}}]]
)
ITEMS = st.lists(
    st.fixed_dictionaries({"metadata": st.dictionaries(st.text(), VALUES | TRAPS), "spec": VALUES | TRAPS}), max_size=8
)

DECODE = msgspec.json.Decoder(Json).decode


def read(
    text: str | bytes,
    decode: Callable[[bytes], Any] = DECODE,
    *,
    limits: Limits | None = None,
) -> Iterator[Any]:
    stream = io.BytesIO(text.encode() if isinstance(text, str) else text)
    return list_items(stream, decode, file="nodes.json", api=Node.api, limits=limits or Limits())


@unhurried
@given(ITEMS, st.sampled_from(sorted(LAYOUTS)))
def test_every_layout_gives_the_items(items: list[Json], layout: str) -> None:
    found = list(read(LAYOUTS[layout]("Node", items)))

    assert [{key: item[key] for key in ("metadata", "spec")} for item in found] == items


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_items_are_found_across_blocks(layout: str) -> None:
    items = [node(f"n{number}", note="x" * 9_000) for number in range(3 * BLOCK_BYTES // 9_000)]

    decoded = list(read(LAYOUTS[layout]("Node", items), msgspec.json.Decoder(Node).decode))

    assert [found.name for found in decoded] == [item["metadata"]["name"] for item in items]


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_memory_does_not_grow_with_the_file(layout: str) -> None:
    text = LAYOUTS[layout]("Node", [node(f"n{number}", note="x" * 20_000) for number in range(1_000)]).encode()

    tracemalloc.start()
    count = sum(1 for _ in read(text, lambda _: None))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert count == 1_000
    assert peak - len(text) < 8 * BLOCK_BYTES  # BytesIO keeps the text itself


def test_an_item_may_be_larger_than_a_block() -> None:
    large = node("large", note="x" * (3 * BLOCK_BYTES))

    assert list(read(line_list("Node", [node("a"), large, node("b"), node("c")])))[1] == large


def test_layouts_may_change_within_a_file() -> None:
    pretty = json.dumps(node("b", nested=[{"a": 1}, {"a": 2}]), indent=0)
    text = '{"kind":"NodeList","items":[\n' + ",\n".join([json.dumps(node("a")), pretty, json.dumps(node("c"))]) + "]}"

    assert [item["metadata"]["name"] for item in read(text)] == ["a", "b", "c"]


@pytest.mark.parametrize("items", ["null", "[]", "[ \n ]"])
def test_an_empty_list(items: str) -> None:
    assert list(read(f'{{"kind":"NodeList","items":{items},"metadata":{{}}}}')) == []


def test_a_byte_order_mark_is_passed_over() -> None:
    assert len(list(read(b"\xef\xbb\xbf" + api_list("Node", [node("a")]).encode()))) == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is empty"),
        ("  \n", "it is empty"),
        ("[]", "does not begin with {"),
        ("Error from server (Forbidden)", "does not begin with {"),
        ("{}", "does not state its kind"),
        ('{"items":[]}', "does not state its kind"),
        ('{"kind":"NodeList"}', "it has no items"),
        ('{"kind":"NodeList","items":{}}', "its items are no array"),
        ('{"kind":"PodList","items":[]}', "it is a PodList"),
        ('{"items":[],"kind":"PodList"}', "it is a PodList"),
        ('{"kind":"Node","metadata":{"items":[{"a":1}]}}', "it is a Node"),
        (kubectl_list("Pod", [node("a")]), "its item 1 is a Pod"),
        ('{"kind":"List","items":[{"kind":"Node"},{"kind":"Pod"}]}', "its item 2 is a Pod"),
    ],
)
def test_what_is_not_a_list_of_that_kind(text: str, why: str) -> None:
    with pytest.raises(BundleError, match=rf"nodes\.json is not a List of Node objects: .*{why}") as caught:
        list(read(text))

    assert caught.value.next_step == "kubectl get nodes -o json > nodes.json"


@pytest.mark.parametrize(
    "text",
    [
        '{"kind":"NodeList","items":[{"a":1},]}',
        '{"kind":"NodeList","items":[{"a":1} {"a":2}]}',
        '{"kind":"NodeList","items":[{"a":tru },{"a":"a long string, so that it is not at the end of the text"}]}',
        '{"kind":"NodeList","items":[{"a":NaN}]}',
        '{"kind":"NodeList","items":[]}}',
        '{"kind":"NodeList","items":[]}{"kind":"NodeList","items":[]}',
        '{"kind":"NodeList","items":[],"items":[]}',
        '{"kind":"NodeList",1:2,"items":[]}',
        '{"kind":"NodeList" "items":[]}',
        '{"kind":"NodeList","items":[' + '{"a":' * 50_000 + "1" + "}" * 50_000 + "]}",
        '{"kind":"NodeList","items":[\n{"a":1},\n{"a":2},\n{"a" 3},\n{"a":"long enough not to count as the end"}\n]}',
    ],
)
def test_what_is_no_json(text: str) -> None:
    with pytest.raises(BundleError, match=r"nodes\.json is not valid JSON") as caught:
        list(read(text))
    assert caught.value.next_step


@unhurried
@given(st.sampled_from(sorted(LAYOUTS)), st.data())
def test_a_cut_file_is_never_taken_for_whole(layout: str, data: st.DataObject) -> None:
    text = LAYOUTS[layout]("Node", [node("a"), node("b", labels={"x": "y"}), node("c")]).rstrip().encode()
    length = data.draw(st.integers(0, len(text) - 1))

    with pytest.raises(BundleError):
        list(read(text[:length], msgspec.json.Decoder(Node).decode))


@unhurried
@given(st.binary(max_size=200))
def test_whatever_follows_it_is_read_or_refused(noise: bytes) -> None:
    text = b'{"kind":"NodeList","items":[' + noise
    try:
        found = list(read(text))
    except BundleError:
        return
    assert found == json.loads(text)["items"]


@pytest.mark.parametrize("bad", [b"\xff", b"\xc3", b"\xed\xa0\x80"])
def test_invalid_utf8_is_found_in_fields_that_nobody_reads(bad: bytes) -> None:
    text = api_list("Node", [node("a", note="HERE")]).encode().replace(b"HERE", bad)

    with pytest.raises(BundleError, match=r"nodes\.json is not valid UTF-8"):
        list(read(text, msgspec.json.Decoder(Node).decode))


def test_utf8_may_be_split_by_blocks() -> None:
    for shift in range(4):
        item = node("a", note="x" * shift + "🙂" * (BLOCK_BYTES // 2))
        assert list(read(json.dumps({"kind": "NodeList", "items": [item]}, ensure_ascii=False))) == [item]


def test_a_file_that_ends_inside_a_character_is_cut_short() -> None:
    text = json.dumps({"kind": "NodeList", "items": [node("a", note="🙂")]}, ensure_ascii=False).encode()

    for size in range(text.index("🙂".encode()) + 1, text.index("🙂".encode()) + 4):
        with pytest.raises(BundleError, match="cut short"):
            list(read(text[:size], msgspec.json.Decoder(Node).decode))


def test_utf16_of_powershell_is_explained() -> None:
    with pytest.raises(BundleError, match="not valid UTF-8") as caught:
        list(read(api_list("Node", []).encode("utf-16")))
    assert "PowerShell" in caught.value.cause


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_a_wrong_type_names_the_item_and_the_field(layout: str) -> None:
    items = [node("a"), node("b"), {"metadata": {"name": 3}, "spec": {}, "status": {}}, node("d")]

    with pytest.raises(BundleError, match=r"nodes.json: item 3 .*metadata\.name"):
        list(read(LAYOUTS[layout]("Node", items), msgspec.json.Decoder(Node).decode))


@pytest.mark.parametrize("where", ["item", "header", "trailer"])
def test_a_piece_that_is_too_large_is_refused(where: str) -> None:
    large = json.dumps("x" * 5_000)
    text = {
        "item": f'{{"kind":"NodeList","items":[{{"a":{large}}}]}}',
        "header": f'{{"a":{large},"kind":"NodeList","items":[]}}',
        "trailer": f'{{"kind":"NodeList","items":[],"a":{large}}}',
    }[where]

    with pytest.raises(BundleError, match="in one piece"):
        list(read(text, limits=Limits(item_bytes=4_000)))


def test_an_endless_piece_is_not_loaded() -> None:
    text = b'{"kind":"NodeList","items":[{"a":"' + b"x" * (8 * BLOCK_BYTES)

    with pytest.raises(BundleError, match="holds more than 2 MiB in one piece, in item 1"):
        list(read(text, limits=Limits(item_bytes=2 * BLOCK_BYTES)))
