"""What the platform's checks know by heart: tables in their order, what images tell, months."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.facts.kube import Deployment
from auditor.facts.parts import OK
from auditor.facts.store import Facts, PartFacts
from checks.platform._components import (
    COMPONENTS,
    STRIMZI,
    Component,
    component_named,
    in_force,
    installed_components,
    parse_release,
    written,
)
from checks.platform._releases import END_OF_LIFE, LONGER_SUPPORT, months_later

every_component = pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.name)


def installed(image: str, **labels: str) -> list[tuple[str, str]]:
    manifest: dict[str, Any] = {
        "metadata": {"name": "operator", "namespace": "data", "labels": labels},
        "spec": {"template": {"spec": {"containers": [{"name": "operator", "image": image}]}}},
    }
    deployment = msgspec.convert(manifest, Deployment)
    facts = Facts({("apps/deployments", None): PartFacts(OK, (deployment,))})
    return [(each.component.name, written(each.release or ())) for each in installed_components(facts)]


class TestComponents:
    @every_component
    def test_floors_rise_with_releases(self, component: Component) -> None:
        for table in (component.floors, component.advice):
            for older, newer in pairwise(table):
                assert older.since < newer.since
                assert older.minor < newer.minor

    @every_component
    def test_each_has_a_floor_a_source_and_a_name_to_ask_for(self, component: Component) -> None:
        assert component.floors
        assert component.source.startswith("https://")
        assert component_named(f" {component.name.upper()} ") is component

    def test_the_floor_of_a_release_is_the_last_that_began(self) -> None:
        assert in_force(STRIMZI.floors, (0, 31, 1)) is None
        floors = [in_force(STRIMZI.floors, release) for release in ((0, 47), (0, 48), (0, 50, 1), (1, 2))]
        assert [floor.minor if floor else None for floor in floors] == [25, 27, 27, 30]

    @pytest.mark.parametrize(
        ("image", "found"),
        [
            ("quay.io/strimzi/operator:0.45.0", [("Strimzi", "0.45.0")]),
            ("registry:5000/mirror/strimzi/operator:0.51.0@sha256:00", [("Strimzi", "0.51.0")]),
            ("registry:5000/mirror/strimzi/operator", [("Strimzi", "")]),
            ("quay.io/strimzi/operator:1.2.0-rc2", [("Strimzi", "1.2.0")]),
            ("quay.io/strimzi/kafka:0.45.0-kafka-3.9.0", []),
            ("ghcr.io/kubeflow/spark-operator/controller:2.2.0", [("Kubeflow Spark Operator", "2.2.0")]),
            ("apache/spark-kubernetes-operator:0.7.0", [("Apache Spark Kubernetes Operator", "0.7.0")]),
            ("registry.k8s.io/kueue/kueue:v0.14.1", [("Kueue", "0.14.1")]),
            ("nginx", []),
        ],
    )
    def test_images_tell_component_and_release(self, image: str, found: list[tuple[str, str]]) -> None:
        assert installed(image) == found

    def test_a_label_tells_the_release_where_the_tag_does_not(self) -> None:
        assert installed("kueue@sha256:00", **{"app.kubernetes.io/version": "v0.13.0"}) == [("Kueue", "0.13.0")]
        assert installed("kueue:main", **{"app.kubernetes.io/version": "main"}) == [("Kueue", "")]

    @given(st.lists(st.integers(0, 999), min_size=2, max_size=3).map(tuple), st.sampled_from(("", "v")))
    def test_releases_are_read_as_they_are_written(self, release: tuple[int, ...], prefix: str) -> None:
        assert parse_release(f"{prefix}{written(release)}") == release

    @given(st.text(max_size=20))
    def test_any_tag_is_a_release_or_none(self, tag: str) -> None:
        release = parse_release(tag)

        assert release is None or len(release) in (2, 3)


class TestReleases:
    def test_each_minor_release_ends_after_the_one_before(self) -> None:
        assert list(END_OF_LIFE) == list(range(min(END_OF_LIFE), max(END_OF_LIFE) + 1))
        assert all(earlier < later for earlier, later in pairwise(END_OF_LIFE.values()))

    def test_longer_support_has_a_source(self) -> None:
        assert all(each.source.startswith("https://") and each.months > 0 for each in LONGER_SUPPORT)

    @given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(0, 60), st.integers(0, 60))
    def test_months_add_up(self, day: date, some: int, more: int) -> None:
        later = months_later(day, some)

        assert (later.year - day.year) * 12 + later.month - day.month == some
        assert months_later(later, more) == months_later(day, some + more)
