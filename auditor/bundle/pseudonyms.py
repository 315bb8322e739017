"""Pseudonyms: stable stand-ins for node names, provider ids and addresses; objects still refer to each other."""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
from collections.abc import Iterable

_TOKEN = re.compile(r"[A-Za-z0-9](?:[-._A-Za-z0-9]*[A-Za-z0-9])?")
_EDGE = re.compile(r"([-._])")
_IPV4 = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?!\d|\.\d)")
_IPV6 = re.compile(r"(?<![0-9A-Za-z:.])[0-9A-Fa-f:]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(?![0-9A-Za-z])")
_PROVIDER_ID = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)?(?P<id>.*)", re.DOTALL)
_HIDDEN_ID = re.compile(r"id-[0-9a-f]{12}|")
_ROLE_PREFIX = "node-role.kubernetes.io/"
_TABLE_SIZE = 65_536


class Pseudonyms:
    """Stand-ins of one run; only its salt, which is never written, links them to what they stand for.

    A node's name is found wherever it is bounded by the ends of a word or by ``-``, ``.`` or ``_``: in names of mirror
    pods, host names, URLs, messages. A name that is a plain word ("minikube") counts only as a whole word or behind
    a last ``-``; one of digits only tells nothing and stays, as loopback and unspecified addresses do.

    Args:
        node_names: the names of all nodes, and other names of theirs that are known, such as host names.
        salt: secret of the run; a random one if left out.
    """

    def __init__(self, node_names: Iterable[str], *, salt: bytes | None = None) -> None:
        self._salt = salt or secrets.token_bytes(32)
        names = {name.lower() for full in node_names for name in (full, full.partition(".")[0])}
        self._nodes = {name: f"node-{self._hash(name)}" for name in names if name and not name.isdigit()}
        self._widths = sorted({len(_EDGE.findall(name)) + 1 for name in self._nodes}, reverse=True)
        self._texts: dict[str, str] = {}

    def text(self, text: str) -> str:
        """The text with every name and address in it replaced."""
        known = self._texts.get(text)
        if known is None:
            if len(self._texts) >= _TABLE_SIZE:
                self._texts.clear()
            known = self._texts[text] = self.long_text(text)
        return known

    def long_text(self, text: str) -> str:
        """The same for a text that will hardly come again, such as a file."""
        if self._nodes:
            text = _TOKEN.sub(lambda found: self._token(found[0]), text)
        if ":" in text:
            text = _IPV6.sub(lambda found: self._address(found[0]), text)
        return _IPV4.sub(lambda found: self._address(found[0]), text) if "." in text else text

    def key(self, key: str) -> str:
        """The name of a field or label. A plain word is taken for a field's, and a role for no node's name."""
        return key if key.isalpha() or key.startswith(_ROLE_PREFIX) else self.text(key)

    def provider_id(self, text: str) -> str:
        """What a cloud calls a node; the scheme stays, because it tells the vendor."""
        found = _PROVIDER_ID.fullmatch(text)
        if found is None or _HIDDEN_ID.fullmatch(found["id"]):
            return text
        return f"{found['scheme'] or ''}id-{self._hash(text)}"

    def _token(self, token: str) -> str:
        pieces = _EDGE.split(token)  # components at even places, their separators at odd ones
        shown: list[str] = []
        at = 0
        while at < len(pieces):
            for width in self._widths:
                end = at + 2 * width - 1
                name = "".join(pieces[at:end])
                if end <= len(pieces) and self._is_node(name, pieces, at, end):
                    shown.append(self._nodes[name.lower()])
                    at = end
                    break
            else:
                shown.append(pieces[at])
                at += 1
            shown.extend(pieces[at : at + 1])
            at += 1
        return "".join(shown)

    def _is_node(self, name: str, pieces: list[str], start: int, end: int) -> bool:
        if name.lower() not in self._nodes:
            return False
        if not name.isalpha():
            return True
        return name in self._nodes and end == len(pieces) and (start == 0 or pieces[start - 1] == "-")

    def _address(self, text: str) -> str:
        for candidate in (text, text.rstrip(":.")):
            try:
                address = ipaddress.ip_address(candidate)
            except ValueError:
                continue
            if address.is_loopback or address.is_unspecified:
                return text
            return f"addr-{self._hash(str(address))}{text[len(candidate) :]}"
        return text

    def _hash(self, text: str) -> str:
        return hmac.digest(self._salt, text.encode(), "sha256").hex()[:12]
