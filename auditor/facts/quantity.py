"""Kubernetes quantities: ``500m``, ``1.5Gi``, ``1e3``, ``12E``, … as exact numbers.

The grammar is that of k8s.io/apimachinery/pkg/api/resource.Quantity: a signed decimal number followed by a binary
suffix (Ki … Ei), a decimal suffix (n u m "" k M G T P E) or a decimal exponent (e3, E-3).
"""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

_QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))"
    r"(?:(?P<suffix>[KMGTPE]i|[numkMGTPE])|[eE](?P<exponent>[+-]?[0-9]{1,4}))?",
    re.ASCII,
)

_SUFFIX = {
    "": Fraction(1),
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 10**3),
    **{suffix: Fraction(10 ** (3 * power)) for power, suffix in enumerate("kMGTPE", start=1)},
    **{f"{suffix}i": Fraction(2 ** (10 * power)) for power, suffix in enumerate("KMGTPE", start=1)},
}


@lru_cache(maxsize=4096)
def parse_quantity(text: str) -> Fraction:
    """The exact value of a quantity in its base unit (cores, bytes, pieces).

    Args:
        text: as it stands in the API's JSON, such as ``"250m"`` or ``"10Gi"``.

    Raises:
        ValueError: ``text`` is not a quantity.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a Kubernetes quantity")
    number = Fraction(Decimal(match["number"]))
    if match["exponent"] is not None:
        return number * Fraction(10) ** int(match["exponent"])
    return number * _SUFFIX[match["suffix"] or ""]


def quantity_bytes(text: str) -> int:
    """A quantity of memory or storage in bytes, rounded up as Kubernetes rounds.

    Raises:
        ValueError: ``text`` is not a quantity.
    """
    value = parse_quantity(text)
    return -(-value.numerator // value.denominator)


def quantity_cores(text: str) -> float:
    """A quantity of CPU in cores.

    Raises:
        ValueError: ``text`` is not a quantity.
    """
    return float(parse_quantity(text))
