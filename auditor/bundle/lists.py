"""Streaming the items of a List: memory grows with what is kept of them, not with the file.

The API server writes a List on one line, kubectl indents it, auditor puts each item on a line of its own. Whatever the
layout, two items are separated by the same bytes throughout a file. The separator is learned from the first two; then
each next one is a search at C speed, and msgspec decodes what lies between. A cut in the wrong place cannot go
unnoticed: the separator holds a raw newline, or a key of the next item in its quotes, neither of which a JSON string
can contain, so it lies between values; and what is cut off inside an item has unbalanced brackets, does not decode, and
is read again by the standard library's parser.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import msgspec

from auditor.bundle.limits import Limits
from auditor.bundle.window import BLOCK_BYTES, ByteStream, Window
from auditor.errors import BundleError
from auditor.facts.parts import Api

T = TypeVar("T")

_SEPARATOR = re.compile(rb'(\}[ \t\r\n]*,[ \t\r\n]*)\{([ \t\r\n]*"[A-Za-z]+"[ \t\r\n]*:)?')
_LINE_END = b"},\n"
_LINE = _LINE_END + b"{"
_NOT_CUT: Any = object()


class _Kinded(msgspec.Struct, frozen=True, kw_only=True):
    kind: str | None = None


_decode_kind = msgspec.json.Decoder(_Kinded).decode


def list_items(
    stream: ByteStream,
    decode: Callable[[bytes], T],
    *,
    file: str,
    api: Api,
    limits: Limits,
    envelope: dict[str, Any] | None = None,
) -> Iterator[T]:
    """The items of a List, decoded one by one. A List whose ``items`` are null is empty.

    Args:
        stream: the file.
        decode: makes a value of one item's JSON; may raise :class:`msgspec.DecodeError`.
        file: how errors call the file.
        api: the type of the objects: the List's kind must be ``List`` or theirs followed by ``List``.
        limits: how large an item may be.
        envelope: gets the List's other fields, those before the items before the first of them.

    Raises:
        BundleError: it is not a List of that kind, is cut short, is no JSON, or an item does not decode. A kind that
            stands behind the items is checked behind them.
    """
    return _ListReader(Window(stream, file, limits), decode, api, limits, {} if envelope is None else envelope).items()


class _ListReader(Generic[T]):
    def __init__(
        self, window: Window, decode: Callable[[bytes], T], api: Api, limits: Limits, envelope: dict[str, Any]
    ) -> None:
        self._window = window
        self._decode_item = decode
        self._api = api
        self._item_bytes = limits.item_bytes
        self._envelope = envelope
        self._number = 0
        self._items_have_kinds: bool | None = None
        self._separator = b""
        self._step = 0

    def items(self) -> Iterator[T]:
        for key in self._keys():
            if key in self._envelope:
                raise self._window.malformed(f"the field {key!r} comes twice")
            if key == "items":
                self._envelope[key] = ...
                self._check_kind(known_so_far=True)
                yield from self._array()
            else:
                self._envelope[key] = self._window.value(f"the List's field {key!r}")[0]
        if self._window.peek():
            raise self._window.malformed("something follows its end")
        self._check_kind(known_so_far=False)

    def _keys(self) -> Iterator[str]:
        window, inside = self._window, "the List's fields"
        if window.peek() != b"{":
            raise self._not_a_list("it does not begin with {" if window.peek() else "it is empty")
        window.at += 1
        if window.peek() == b"}":
            window.at += 1
            return
        while True:
            key, _ = window.value(inside)
            if not isinstance(key, str):
                raise window.malformed(f"{key!r:.20} where a field's name belongs, in {inside}")
            window.take(b":", inside)
            yield key
            if window.take(b",}", inside) == b"}":
                return

    def _array(self) -> Iterator[T]:
        window = self._window
        if window.peek() != b"[":
            if window.value("the items")[0] is not None:
                raise self._not_a_list("its items are no array")
            return
        window.at += 1
        if window.peek() == b"]":
            window.at += 1
            return
        while True:
            self._number += 1
            item = self._quickly() if self._separator else _NOT_CUT
            if item is not _NOT_CUT:
                yield item
                continue
            yield self._slowly()
            self._learn_separator()
            if window.take(b",]", f"the items, after item {self._number}") == b"]":
                return
            window.peek()  # the search for the next separator begins at the item

    def _quickly(self) -> T:
        """The next item if the separator follows it, else ``_NOT_CUT`` with the window where it was."""
        window = self._window
        end = self._next_separator()
        if end < 0 and len(window.data) - window.at < BLOCK_BYTES and window.more():
            end = self._next_separator()
        if end < 0:
            return _NOT_CUT  # type: ignore[no-any-return]
        try:
            item = self._decode(window.data[window.at : end + 1])
        except msgspec.ValidationError as error:
            raise self._wrong_type(error) from error
        except (msgspec.DecodeError, RecursionError):
            return _NOT_CUT  # type: ignore[no-any-return]
        window.at = end + self._step
        return item

    def _next_separator(self) -> int:
        """Where the next separator begins, or -1."""
        data, at = self._window.data, self._window.at
        if self._separator != _LINE:
            return data.find(self._separator, at)
        line_end = data.find(b"\n", at)  # one byte is found many times faster than four
        start = line_end + 1 - len(_LINE_END)
        return start if line_end >= 0 and data.startswith(_LINE, start) else -1

    def _slowly(self) -> T:
        inside = f"item {self._number}"
        _, source = self._window.value(inside)
        try:
            return self._decode(source)
        except msgspec.ValidationError as error:
            raise self._wrong_type(error) from error
        except (msgspec.DecodeError, RecursionError) as error:
            raise self._window.malformed(f"{error}, in {inside}") from error

    def _learn_separator(self) -> None:
        found = _SEPARATOR.match(self._window.data, self._window.at - 1)
        if found is None or not (b"\n" in found[1] or found[2]):
            return
        self._separator = found[1] + b"{" if b"\n" in found[1] else found[0]
        self._step = len(found[1])

    def _decode(self, source: bytes) -> T:
        if self._items_have_kinds is not False:
            kind = _decode_kind(source).kind
            if self._items_have_kinds is None:
                self._items_have_kinds = kind is not None
            if kind not in (None, self._api.kind):
                raise self._not_a_list(f"its item {self._number} is a {kind}")
        return self._decode_item(source)

    def _check_kind(self, *, known_so_far: bool) -> None:
        kind = self._envelope.get("kind")
        if known_so_far and "kind" not in self._envelope:
            return
        if kind not in ("List", f"{self._api.kind}List"):
            raise self._not_a_list(f"it is a {kind}" if kind else "it does not state its kind")
        if "items" not in self._envelope and not known_so_far:
            raise self._not_a_list("it has no items")

    def _not_a_list(self, why: str) -> BundleError:
        every = " -A" if self._api.namespaced else ""
        return BundleError(
            f"{self._window.file} is not a List of {self._api.kind} objects: {why}.",
            cause="The file was not written by `kubectl get` of the whole type: an object's name, several types at "
            "once or another output format give something else.",
            next_step=f"kubectl get {self._api.plural}{every} -o json > {self._api.plural}.json",
        )

    def _wrong_type(self, error: msgspec.ValidationError) -> BundleError:
        return BundleError(
            f"{self._window.file}: item {self._number} has a field that does not fit: {error}",
            cause="The file was edited, or the object has a shape that this auditor's view of it does not know.",
            next_step="Fetch that file again; if the error stays, report it with the object's apiVersion.",
        )
