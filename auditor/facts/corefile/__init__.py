"""Corefiles: CoreDNS' configuration, read the way CoreDNS itself reads it, down to its oddities.

:func:`parse_corefile` gives the server blocks with their plugins; :mod:`~auditor.facts.corefile.plugins` says what
the settings of single plugins come to.
"""

from auditor.facts.corefile.lexer import CorefileError, Token, tokens_of
from auditor.facts.corefile.model import Corefile, Directive, MissingImport, ServerBlock, is_symbolic
from auditor.facts.corefile.parser import parse_corefile
from auditor.facts.corefile.zones import Address

__all__ = [
    "Address",
    "Corefile",
    "CorefileError",
    "Directive",
    "MissingImport",
    "ServerBlock",
    "Token",
    "is_symbolic",
    "parse_corefile",
    "tokens_of",
]
