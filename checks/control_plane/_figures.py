"""How findings of the control plane write numbers."""

from __future__ import annotations

from datetime import timedelta

_MIB = 1024**2
_GIB = 1024**3


def percent(share: float) -> str:
    """A share from 0 to 1: ``74 %``, ``2.5 %``, ``0.031 %``."""
    hundredths = 100 * share
    return f"{hundredths:.0f} %" if hundredths >= 10 else f"{hundredths:.2g} %"


def size(count_bytes: float) -> str:
    """``180 MiB``, ``5.9 GiB``."""
    return f"{count_bytes / _GIB:.3g} GiB" if count_bytes >= _GIB else f"{count_bytes / _MIB:.3g} MiB"


def milliseconds(seconds: float) -> str:
    """``21 ms``, ``1500 ms``."""
    return f"{1000 * seconds:.0f} ms"


def duration(time: timedelta) -> str:
    """``45 s``, ``12 min``, ``5 h``, ``3 days``."""
    seconds = time.total_seconds()
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"
