"""Sharing equal parts among decoded objects: 150,000 pods name few images, owners, nodes and label sets."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, TypeVar

import msgspec
from msgspec.structs import force_setattr

from auditor.facts.parts import Resource

R = TypeVar("R", bound=Resource)

_TABLE_SIZE = 16_384
"""Values remembered per field; Lists are sorted by namespace and name, so that like objects are neighbours."""

_TRIM_EVERY = 4_096
"""Objects between two looks at the tables' sizes."""

_UNSHARED = frozenset({int, float, bool, type(None)})

_encode = msgspec.json.Encoder().encode


class _Place:
    """A field of a struct class, or the elements of one, and the values that were seen there."""

    __slots__ = ("_elements", "known")

    def __init__(self) -> None:
        self.known: dict[Hashable, Any] = {}
        self._elements: _Place | None = None

    @property
    def elements(self) -> _Place:
        if self._elements is None:
            self._elements = _Place()
        return self._elements

    def trim(self) -> None:
        if len(self.known) > _TABLE_SIZE:
            self.known.clear()
        if self._elements is not None:
            self._elements.trim()


class Sharing:
    """Replaces the fields of views by equal values that were seen there before; views are frozen, so nobody can tell.

    Whether a value was seen is told by its JSON, which is made and hashed at C speed. Only what is new is looked into.
    """

    def __init__(self) -> None:
        self._classes: dict[type, tuple[tuple[str, _Place], ...]] = {}
        self._shared_views = 0

    def share(self, view: R) -> R:
        """The same object, its parts shared."""
        self._shared_views += 1
        if self._shared_views % _TRIM_EVERY == 0:
            for fields in self._classes.values():
                for _, place in fields:
                    place.trim()
        for name, place in self._fields(type(view)):
            value = getattr(view, name)
            if isinstance(value, msgspec.Struct):
                self._share_fields(value)  # metadata, spec, status: hardly ever equal as a whole
            else:
                force_setattr(view, name, self._shared(value, place))
        return view

    def _fields(self, kind: type[msgspec.Struct]) -> tuple[tuple[str, _Place], ...]:
        fields = self._classes.get(kind)
        if fields is None:
            fields = self._classes[kind] = tuple((name, _Place()) for name in kind.__struct_fields__)
        return fields

    def _share_fields(self, struct: msgspec.Struct) -> None:
        for name, place in self._fields(type(struct)):
            value = getattr(struct, name)
            kind = type(value)
            if kind is str:  # _shared without the call: most fields are strings
                shared = place.known.setdefault(value, value)
            elif kind in _UNSHARED:
                continue
            else:
                shared = self._shared(value, place)
            if shared is not value:
                force_setattr(struct, name, shared)

    def _shared(self, value: Any, place: _Place) -> Any:
        kind = type(value)
        if kind is str:
            return place.known.setdefault(value, value)
        if kind in _UNSHARED:
            return value
        key = _encode(value)
        known = place.known.get(key)
        if known is None:
            known = place.known[key] = self._with_shared_parts(value, place)
        return known

    def _with_shared_parts(self, value: Any, place: _Place) -> Any:
        if isinstance(value, tuple):
            return tuple([self._shared(element, place.elements) for element in value])
        if isinstance(value, dict):
            for name, element in value.items():
                value[name] = self._shared(element, place.elements)
        elif isinstance(value, msgspec.Struct):
            self._share_fields(value)
        return value
