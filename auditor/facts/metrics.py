"""Metrics as the API server writes them: the Prometheus text format, read for the few metrics that a check asks for.

An answer of /metrics has megabytes, nearly all of which concern nobody. Lines of other metrics are stepped over by text
search, and only those of the metric that is asked for are taken apart.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

_LABEL = re.compile(r'[\s,]*(?P<name>[a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"(?P<value>(?:[^"\\]|\\.)*)"')
_LABELS_END = re.compile(r"[\s,]*\}")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "\\": "\\", '"': '"'}


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of a metric.

    Attributes:
        labels: by name.
        value: a counter's or gauge's value; may be NaN or infinite.
    """

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many observations lay below which bounds.

    Attributes:
        bounds: upper bounds of the buckets, ascending; the last one may be infinite.
        counts: observations up to each bound, those of lower buckets included; never falling.
    """

    bounds: tuple[float, ...]
    counts: tuple[float, ...]

    @property
    def count(self) -> float:
        """All observations."""
        return self.counts[-1] if self.counts else 0.0

    def bucket(self, quantile: float) -> tuple[float, float] | None:
        """The bounds between which the quantile lies, which is all that is certain; None without observations.

        Args:
            quantile: from 0 to 1, such as 0.99.
        """
        if not self.count:
            return None
        index = self._index(quantile)
        return self._lower(index), self.bounds[index]

    def quantile(self, quantile: float) -> float | None:
        """The quantile, as if observations lay evenly within their bucket; None without observations.

        In the infinite bucket it is that bucket's lower bound, as in PromQL's ``histogram_quantile``: the true value is
        that or more.

        Args:
            quantile: from 0 to 1, such as 0.99.
        """
        if not self.count:
            return None
        index = self._index(quantile)
        lower, upper = self._lower(index), self.bounds[index]
        if math.isinf(upper):
            return lower
        before = self.counts[index - 1] if index else 0.0
        within = self.counts[index] - before
        return lower + (upper - lower) * (quantile * self.count - before) / within if within else upper

    def share_above(self, bound: float) -> float:
        """The share of observations above a bound, from 0 to 1; within a bucket they count as evenly spread.

        Args:
            bound: in the unit of the observations.
        """
        if not self.count:
            return 0.0
        previous_bound, previous_count = min(0.0, *self.bounds), 0.0
        for upper, count in zip(self.bounds, self.counts, strict=True):
            if upper >= bound:
                width = upper - previous_bound
                part = (bound - previous_bound) / width if 0 < width < math.inf else float(upper == bound)
                return 1 - (previous_count + max(0.0, part) * (count - previous_count)) / self.count
            previous_bound, previous_count = upper, count
        return 0.0

    def _index(self, quantile: float) -> int:
        rank = quantile * self.count
        return next(index for index, count in enumerate(self.counts) if count and count >= rank)

    def _lower(self, index: int) -> float:
        return self.bounds[index - 1] if index else min(0.0, self.bounds[0])


def samples(text: str, name: str) -> tuple[Sample, ...]:
    """The lines of one metric, in the text's order; none where it does not occur.

    Args:
        text: an answer of /metrics.
        name: the whole name as it stands at the beginning of a line, such as ``apiserver_request_total``.

    Raises:
        ValueError: a line of the metric is no sample.
    """
    return tuple(_sample(line, name) for line in _lines(text, name))


def first_of(text: str, names: Iterable[str]) -> tuple[Sample, ...]:
    """The lines of the first metric that occurs, for one that was renamed from release to release.

    Args:
        text: an answer of /metrics.
        names: the newest name first.

    Raises:
        ValueError: a line of the metric is no sample.
    """
    return next(filter(None, (samples(text, name) for name in names)), ())


def histograms(text: str, name: str, *, by: Sequence[str]) -> dict[tuple[str, ...], Histogram]:
    """The histograms of one metric, those with equal values of some labels added up.

    Args:
        text: an answer of /metrics.
        name: of the metric, without ``_bucket``.
        by: the labels to keep; a histogram without one of them has an empty value for it.

    Raises:
        ValueError: a line of the metric is no sample of a histogram.
    """
    counts: defaultdict[tuple[str, ...], defaultdict[float, float]] = defaultdict(lambda: defaultdict(float))
    for sample in samples(text, f"{name}_bucket"):
        if math.isfinite(sample.value):
            key = tuple(sample.labels.get(label, "") for label in by)
            counts[key][float(sample.labels.get("le", ""))] += sample.value
    return {key: _histogram(buckets) for key, buckets in counts.items()}


def added_up(each: Iterable[Histogram]) -> Histogram:
    """All observations of several histograms with the same bounds."""
    counts: defaultdict[float, float] = defaultdict(float)
    for histogram in each:
        for bound, count in zip(histogram.bounds, histogram.counts, strict=True):
            counts[bound] += count
    return _histogram(counts)


def _histogram(buckets: Mapping[float, float]) -> Histogram:
    bounds = sorted(buckets)
    counts: list[float] = []
    for bound in bounds:  # a bucket may be a little behind its neighbour: they are not written at one time
        counts.append(max(buckets[bound], counts[-1] if counts else 0.0))
    return Histogram(tuple(bounds), tuple(counts))


def _lines(text: str, name: str) -> Iterator[str]:
    """The lines that begin with a name, and not with a longer one."""
    begin = 0 if text.startswith(name) else text.find(f"\n{name}") + 1
    while begin or text.startswith(name, begin):
        end = text.find("\n", begin)
        end = len(text) if end < 0 else end
        after = begin + len(name)
        if text[after : after + 1] in ("{", " ", "\t"):
            yield text[begin:end]
        if text.startswith(name, end + 1):  # lines of one metric stand together
            begin = end + 1
        else:
            begin = text.find(f"\n{name}", end) + 1
            if not begin:
                return


def _sample(line: str, name: str) -> Sample:
    labels: dict[str, str] = {}
    rest = line[len(name) :].lstrip()
    if rest.startswith("{"):
        position = 1
        while match := _LABEL.match(rest, position):
            value = match["value"]
            labels[match["name"]] = _ESCAPE.sub(_unescaped, value) if "\\" in value else value
            position = match.end()
        closing = _LABELS_END.match(rest, position)
        if closing is None:
            raise ValueError(f"The labels of this line of metrics do not end: {line[:200]!r}")
        rest = rest[closing.end() :]
    numbers = [float(number) for number in rest.split()]
    if len(numbers) not in (1, 2):  # a timestamp may follow
        raise ValueError(f"This line of metrics has no value: {line[:200]!r}")
    return Sample(labels, numbers[0])


def _unescaped(match: re.Match[str]) -> str:
    return _ESCAPED.get(match[1], match[0])
