"""apps: defaults of the API, and the names of a StatefulSet's pods and claims."""

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from auditor.facts.kube import Deployment, StatefulSet


def stateful_set(**spec: Any) -> StatefulSet:
    manifest = {"metadata": {"name": "kafka", "namespace": "data"}, "spec": spec}
    return msgspec.json.decode(json.dumps(manifest), type=StatefulSet)


def test_one_replica_is_the_default() -> None:
    assert stateful_set().replicas == 1
    assert msgspec.convert({"metadata": {"name": "a"}}, Deployment).replicas == 1
    assert stateful_set(replicas=0).replicas == 0


def test_pods_are_numbered_from_zero_or_from_where_the_set_says() -> None:
    assert stateful_set(replicas=2).pod_names == ("kafka-0", "kafka-1")
    assert stateful_set(replicas=2, ordinals={"start": 5}).pod_names == ("kafka-5", "kafka-6")
    assert stateful_set(replicas=0).pod_names == ()


def test_claims_are_named_after_template_and_pod() -> None:
    kafka = stateful_set(volumeClaimTemplates=[{"metadata": {"name": "data"}}])
    [template] = kafka.spec.volume_claim_templates or ()

    assert [kafka.claim_name(template, pod) for pod in kafka.pod_names] == ["data-kafka-0"]


@given(replicas=st.integers(0, 50), start=st.integers(0, 1000))
def test_every_pod_asked_for_has_a_name_of_its_own(replicas: int, start: int) -> None:
    names = stateful_set(replicas=replicas, ordinals={"start": start}).pod_names

    assert len(set(names)) == len(names) == replicas
