"""Webhooks: which requests the API server sends to one."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.facts.kube.admission import MutatingWebhookConfiguration, Webhook


def webhook(**fields: Any) -> Webhook:
    return msgspec.convert({"name": "pods.example.com", **fields}, Webhook)


def rule(groups: list[str], resources: list[str], operations: list[str]) -> dict[str, Any]:
    return {"apiGroups": groups, "apiVersions": ["*"], "resources": resources, "operations": operations}


@pytest.mark.parametrize(
    ("rules", "covered"),
    [
        (rule([""], ["pods"], ["CREATE"]), True),
        (rule(["*"], ["*"], ["*"]), True),
        (rule([""], ["*/*"], ["CREATE", "UPDATE"]), True),
        (rule([""], ["pods/eviction"], ["CREATE"]), False),
        (rule([""], ["pods/*"], ["CREATE"]), False),
        (rule([""], ["pods"], ["DELETE"]), False),
        (rule(["apps"], ["*"], ["*"]), False),
    ],
)
def test_a_rule_names_group_resource_and_operation(rules: dict[str, Any], *, covered: bool) -> None:
    assert webhook(rules=[rules]).covers("", "pods", ("CREATE",)) is covered


def test_any_resource_of_a_group_is_asked_for_with_a_star() -> None:
    spark = webhook(rules=[rule(["sparkoperator.k8s.io"], ["sparkapplications"], ["CREATE", "UPDATE"])])
    status = webhook(rules=[rule(["sparkoperator.k8s.io"], ["sparkapplications/status"], ["UPDATE"])])

    assert spark.covers("sparkoperator.k8s.io", "*", ("CREATE", "UPDATE"))
    assert not status.covers("sparkoperator.k8s.io", "*", ("CREATE", "UPDATE"))


def test_fail_is_the_default() -> None:
    assert webhook().fails_closed
    assert webhook(failurePolicy="Fail").fails_closed
    assert not webhook(failurePolicy="Ignore").fails_closed


def test_a_namespace_carries_its_name_as_a_label() -> None:
    without = {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["a"]}]}

    assert not webhook(namespaceSelector=without).selects_namespace("a", {})
    assert webhook(namespaceSelector=without).selects_namespace("b", {})


@given(st.text(min_size=1), st.dictionaries(st.text(), st.text(), max_size=3))
def test_an_empty_selector_selects_every_namespace(name: str, labels: dict[str, str]) -> None:
    selectors: tuple[dict[str, Any] | None, ...] = (None, {}, {"matchLabels": {}, "matchExpressions": []})
    for selector in selectors:
        asked = webhook(namespaceSelector=selector)
        assert asked.asks_for_all_namespaces
        assert asked.selects_namespace(name, labels)


def test_labels_and_expressions_keep_objects_away() -> None:
    assert webhook(objectSelector={}).asks_for_all_objects
    assert not webhook(objectSelector={"matchLabels": {"a": "b"}}).asks_for_all_objects
    assert not webhook(matchConditions=[{"name": "not-leases", "expression": "true"}]).asks_for_all_objects


def test_a_configuration_may_have_no_webhooks() -> None:
    assert msgspec.convert({"metadata": {"name": "a"}}, MutatingWebhookConfiguration).webhooks is None
