"""Metrics: the text format, histograms and their quantiles."""

import math
import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from auditor.facts.metrics import Histogram, Sample, added_up, first_of, histograms, samples

TEXT = """\
# HELP apiserver_storage_objects [STABLE] Number of stored objects at the time of last check split by kind.
# TYPE apiserver_storage_objects gauge
apiserver_storage_objects{resource="pods"} 1204
apiserver_storage_objects{resource="leases.coordination.k8s.io"} -1
# TYPE apiserver_storage_objects_by_hand gauge
apiserver_storage_objects_by_hand 7
# TYPE go_goroutines gauge
go_goroutines 2.5e+03 1767268800000
# TYPE summary summary
summary{quantile="0.5",} NaN
summary_sum +Inf
apiserver_storage_objects{resource="nodes"} 3
"""

NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,10}", fullmatch=True)
LABELS = st.dictionaries(NAMES, st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=12), max_size=3)
SAMPLES = st.lists(st.tuples(NAMES, LABELS, st.floats()), max_size=12)

COUNTS = st.lists(st.integers(0, 10**6), min_size=1, max_size=8)


def written(name: str, labels: dict[str, str], value: float) -> str:
    escapes = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
    inner = ",".join(f'{label}="{text.translate(escapes)}"' for label, text in labels.items())
    number = {math.inf: "+Inf", -math.inf: "-Inf"}.get(value, "NaN" if math.isnan(value) else repr(value))
    return f"{name}{{{inner}}} {number}" if labels else f"{name} {number}"


def of_counts(counts: list[int]) -> Histogram:
    """A histogram with bounds 1, 2, … and infinity."""
    bounds = [*map(float, range(1, len(counts))), math.inf]
    so_far = [float(sum(counts[: index + 1])) for index in range(len(counts))]
    return Histogram(tuple(bounds), tuple(so_far))


class TestSamples:
    def test_of_one_metric_only(self) -> None:
        assert samples(TEXT, "apiserver_storage_objects") == (
            Sample({"resource": "pods"}, 1204),
            Sample({"resource": "leases.coordination.k8s.io"}, -1),
            Sample({"resource": "nodes"}, 3),
        )

    def test_without_labels_with_a_timestamp(self) -> None:
        assert samples(TEXT, "go_goroutines") == (Sample({}, 2500),)

    def test_values_that_are_no_number(self) -> None:
        (nan,), (infinite,) = samples(TEXT, "summary"), samples(TEXT, "summary_sum")

        assert nan.labels == {"quantile": "0.5"}
        assert math.isnan(nan.value)
        assert infinite.value == math.inf

    @pytest.mark.parametrize("text", ["", "\n", "<html>\n</html>", TEXT])
    def test_of_a_metric_that_is_not_there(self, text: str) -> None:
        assert samples(text, "etcd_request_duration_seconds_bucket") == ()

    def test_in_the_first_line_and_without_a_last_line_end(self) -> None:
        assert samples('up 1\nup{a="b"} 0', "up") == (Sample({}, 1), Sample({"a": "b"}, 0))

    def test_of_a_value_with_braces_and_blanks(self) -> None:
        assert samples('up{a="} 1 {", b = "\\"x\\\\n\\n" } 2\n', "up") == (Sample({"a": "} 1 {", "b": '"x\\n\n'}, 2),)

    @pytest.mark.parametrize(
        "line", ["up{", 'up{a="b', 'up{a="b"}', "up ", "up 1 2 3", "up x", "up{a=b} 1", "up{} 1 #"]
    )
    def test_a_line_that_is_cut_or_malformed_is_no_sample(self, line: str) -> None:
        with pytest.raises(ValueError, match=r"line of metrics|could not convert"):
            samples(f"up 1\n{line}\n", "up")

    @given(SAMPLES)
    def test_come_back_as_they_were_written(self, lines: list[tuple[str, dict[str, str], float]]) -> None:
        text = "".join(f"{written(*line)}\n" for line in lines)

        for name in {name for name, _, _ in lines}:
            expected = [(labels, repr(value)) for other, labels, value in lines if other == name]
            assert [(sample.labels, repr(sample.value)) for sample in samples(text, name)] == expected

    def test_of_a_renamed_metric_under_its_newest_name(self) -> None:
        text = "old 1\nnew 2\n"

        assert first_of(text, ("newest", "new", "old")) == (Sample({}, 2),)
        assert first_of(text, ("newest",)) == ()

    def test_of_thirty_megabytes_are_found_at_once(self) -> None:
        other = "".join(
            f'apiserver_request_duration_seconds_bucket{{verb="GET",n="{n}"}} {n}\n' for n in range(500_000)
        )
        text = f"{other}apiserver_storage_size_bytes 1\n{other}"

        began = time.process_time()
        found = samples(text, "apiserver_storage_size_bytes")

        assert len(found) == 1
        assert time.process_time() - began < 2


class TestHistograms:
    text = """\
d_bucket{op="create",group="",le="0.1"} 90
d_bucket{op="create",group="",le="0.5"} 99
d_bucket{op="create",group="",le="+Inf"} 100
d_sum{op="create",group=""} 12
d_count{op="create",group=""} 100
d_bucket{op="create",group="apps",le="0.1"} 0
d_bucket{op="create",group="apps",le="0.5"} 99
d_bucket{op="create",group="apps",le="+Inf"} 100
d_bucket{op="list",group="",le="0.1"} 10
d_bucket{op="list",group="",le="0.5"} NaN
d_bucket{op="list",group="",le="+Inf"} 9
"""

    def test_are_added_up_by_label(self) -> None:
        assert histograms(self.text, "d", by=("op",)) == {
            ("create",): Histogram((0.1, 0.5, math.inf), (90, 198, 200)),
            ("list",): Histogram((0.1, math.inf), (10, 10)),  # NaN is left out, and counts do not fall
        }

    def test_of_other_labels_are_under_an_empty_value(self) -> None:
        assert list(histograms(self.text, "d", by=("verb",))) == [("",)]

    def test_without_a_bound_are_none(self) -> None:
        with pytest.raises(ValueError, match="could not convert"):
            histograms("d_bucket 1\n", "d", by=())

    def test_can_be_added(self) -> None:
        create, other = Histogram((0.1, math.inf), (1, 2)), Histogram((0.1, math.inf), (0, 3))

        assert added_up([create, other]) == Histogram((0.1, math.inf), (1, 5))
        assert added_up([]).count == 0


class TestQuantiles:
    @pytest.mark.parametrize(
        ("quantile", "value", "bucket"),
        [
            (0.25, 0.5, (0, 1)),
            (0.5, 1, (0, 1)),
            (0.75, 1.5, (1, 2)),
            (0.99, 2, (2, math.inf)),
            (1, 2, (2, math.inf)),
        ],
    )
    def test_lie_evenly_within_their_bucket(self, quantile: float, value: float, bucket: tuple[float, float]) -> None:
        histogram = Histogram((1, 2, math.inf), (50, 98, 100) if quantile > 0.9 else (50, 100, 100))

        assert histogram.quantile(quantile) == pytest.approx(value)
        assert histogram.bucket(quantile) == bucket

    def test_without_observations_are_none(self) -> None:
        empty = Histogram((1, math.inf), (0, 0))

        assert empty.quantile(0.99) is None
        assert empty.bucket(0.99) is None
        assert empty.share_above(0.5) == 0

    @given(COUNTS, st.floats(0, 1))
    def test_lie_in_their_bucket(self, counts: list[int], quantile: float) -> None:
        histogram = of_counts(counts)
        assume(histogram.count)

        value, bucket = histogram.quantile(quantile), histogram.bucket(quantile)

        assert value is not None
        assert bucket is not None
        assert bucket[0] <= value <= bucket[1]

    @given(COUNTS, st.floats(0, 1), st.floats(0, 1))
    def test_grow_with_the_share(self, counts: list[int], one: float, other: float) -> None:
        histogram = of_counts(counts)
        assume(histogram.count)
        low, high = sorted((one, other))

        smaller, greater = histogram.quantile(low), histogram.quantile(high)

        assert smaller is not None
        assert greater is not None
        assert smaller <= greater + 1e-9

    @given(COUNTS, st.floats(0, 10), st.floats(0, 10))
    def test_shares_above_fall_with_the_bound(self, counts: list[int], one: float, other: float) -> None:
        histogram = of_counts(counts)
        low, high = sorted((one, other))

        assert 0 <= histogram.share_above(high) <= histogram.share_above(low) + 1e-9 <= 1 + 1e-9

    def test_shares_above_a_bound(self) -> None:
        histogram = Histogram((0, 0.5, 1), (10, 90, 100))

        assert histogram.share_above(0) == pytest.approx(0.9)
        assert histogram.share_above(0.25) == pytest.approx(0.5)
        assert histogram.share_above(0.5) == pytest.approx(0.1)
        assert histogram.share_above(1) == 0
        assert histogram.share_above(2) == 0
