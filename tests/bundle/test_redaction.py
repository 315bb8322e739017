"""Redaction: no planted secret survives, ordinary content does, and twice is as once."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.bundle import Pseudonyms, Redaction
from tests.bundle.builders import unhurried

Json = dict[str, Any]

PLANTED = "s3cr3t-pl4nted"
NODE = "worker-7.prod.example.com"

APPLIED = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "banzaicloud.com/last-applied",
    "objectset.rio.cattle.io/applied",
]

KEYS = st.sampled_from(["a", "spec", "status", "name", "value", "data", "labels", "environment", "envFrom", "metadata"])
SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["x", "plain text", "v1.2.3", "100m"])
ORDINARY = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))
OBJECTS = st.dictionaries(KEYS, ORDINARY, max_size=4)

VARIABLES = st.sampled_from(
    [
        {"name": "TOKEN", "value": PLANTED},
        {"name": "TOKEN", "value": {"nested": [PLANTED]}},
        {"name": "TOKEN", "value": PLANTED, "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        f"TOKEN={PLANTED}",
        PLANTED,
    ]
)
SECRETIVE: st.SearchStrategy[Json] = st.one_of(
    st.lists(VARIABLES, min_size=1, max_size=3).map(lambda variables: {"env": variables}),
    st.sampled_from(["env", "envVars"]).map(lambda key: {key: {"TOKEN": PLANTED}}),
    st.just({"metadata": {"managedFields": [{"fieldsV1": {PLANTED: {}}}]}}),
    st.sampled_from(APPLIED).map(lambda key: {"metadata": {"annotations": {key: json.dumps({"password": PLANTED})}}}),
)


@st.composite
def with_secrets(draw: st.DrawFn) -> Json:
    """An object with secrets at some depth: of a pod, a template, a custom resource."""
    planted: Any = draw(SECRETIVE)
    for key in draw(st.lists(KEYS | st.sampled_from(["containers", "template", "items"]), max_size=4)):
        surrounded = {**draw(OBJECTS), **planted} if isinstance(planted, dict) else planted
        planted = {key: [surrounded]} if draw(st.booleans()) else {key: surrounded}
    return {**draw(OBJECTS), **planted}


@unhurried
@given(with_secrets())
def test_no_secret_survives(item: Json) -> None:
    assert PLANTED not in json.dumps(Redaction().item(item, kind="Anything"))


@unhurried
@given(with_secrets())
def test_twice_is_as_once(item: Json) -> None:
    redaction = Redaction(Pseudonyms([NODE, "x"]))
    once = redaction.item(item, kind="Anything")

    assert redaction.item(once, kind="Anything") == once


@unhurried
@given(with_secrets())
def test_the_original_is_left_alone(item: Json) -> None:
    before = copy.deepcopy(item)

    Redaction(Pseudonyms([NODE])).item(item, kind="Secret")

    assert item == before


@unhurried
@given(OBJECTS)
def test_ordinary_content_stays(item: Json) -> None:
    assert Redaction().item(item, kind="Anything") == item
    assert Redaction(Pseudonyms([NODE])).item(item, kind="Anything") == item


@pytest.mark.parametrize(("kind", "own_kind"), [("Secret", {}), ("Anything", {"kind": "Secret"})])
def test_a_secret_keeps_nothing_but_its_metadata(kind: str, own_kind: Json) -> None:
    secret = {
        **own_kind,
        "metadata": {"name": "x"},
        "type": "Opaque",
        "data": {"a": PLANTED},
        "stringData": {"b": PLANTED},
    }

    assert Redaction().item(secret, kind=kind) == {**own_kind, "metadata": {"name": "x"}, "type": "Opaque"}


def test_the_names_of_variables_and_where_they_come_from_stay() -> None:
    source = {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    pod = {"spec": {"containers": [{"env": [{"name": "A", "value": "b"}, source, "C=d"], "envVars": {"E": "f"}}]}}

    assert Redaction().item(pod, kind="Pod")["spec"]["containers"] == [
        {"env": [{"name": "A", "value": "[redacted]"}, source, "C=[redacted]"], "envVars": {"E": "[redacted]"}}
    ]


def test_the_schema_of_a_custom_resource_stays() -> None:
    schema = {"properties": {"env": {"type": "object"}, "envVars": {"type": "object"}}}

    assert Redaction().item({"spec": schema}, kind="CustomResourceDefinition") == {"spec": schema}


def test_other_annotations_stay() -> None:
    item = {"metadata": {"annotations": {"example.com/applied": "yes", APPLIED[0]: "{}"}}}

    assert Redaction().item(item, kind="Pod") == {"metadata": {"annotations": {"example.com/applied": "yes"}}}


def cluster() -> list[Json]:
    """Objects that name a node and its address in each of the usual places."""
    return [
        {
            "kind": "Node",
            "metadata": {"name": NODE, "labels": {"kubernetes.io/hostname": NODE, f"example.com/{NODE}": "here"}},
            "spec": {"providerID": f"aws:///eu-central-1a/i-0abc/{NODE}", "podCIDR": "10.244.7.0/24"},
            "status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.7"}, {"address": "fd00::7"}]},
        },
        {
            "kind": "Pod",
            "metadata": {"name": f"kube-proxy-{NODE}", "ownerReferences": [{"kind": "Node", "name": NODE}]},
            "spec": {"nodeName": NODE},
            "status": {"hostIP": "10.0.0.7", "conditions": [{"message": f"dial {NODE}:10250 (10.0.0.7): refused"}]},
        },
        {
            "kind": "CSINode",
            "metadata": {"name": NODE},
            "spec": {"drivers": [{"name": "ebs.csi.example.com", "nodeID": "i-0abc"}]},
        },
        {
            "kind": "ConfigMap",
            "metadata": {"name": "x"},
            "data": {NODE: json.dumps({"host": NODE, "ip": "10.0.0.7"})},
        },
    ]


def test_nothing_of_a_node_is_left() -> None:
    redaction = Redaction(Pseudonyms([NODE]))

    text = json.dumps([redaction.item(item, kind=item["kind"]) for item in cluster()])

    for name in ("worker-7", "prod.example.com", "10.0.0.7", "fd00::7", "10.244.7", "i-0abc"):
        assert name not in text


def test_objects_still_refer_to_each_other() -> None:
    redaction = Redaction(Pseudonyms([NODE]))

    node, pod, csi_node, config_map = (redaction.item(item, kind=item["kind"]) for item in cluster())

    name = node["metadata"]["name"]
    assert pod["spec"]["nodeName"] == name
    assert pod["metadata"]["ownerReferences"][0]["name"] == name
    assert pod["metadata"]["name"] == f"kube-proxy-{name}"
    assert pod["status"]["hostIP"] == node["status"]["addresses"][0]["address"]
    assert csi_node["metadata"]["name"] == name
    assert node["metadata"]["labels"]["kubernetes.io/hostname"] == name
    assert list(config_map["data"]) == [name]
    assert node["spec"]["providerID"].startswith("aws://")


def test_texts_are_redacted_too() -> None:
    assert NODE not in Redaction(Pseudonyms([NODE])).text(f"etcd on {NODE} ok")
    assert Redaction().text(f"etcd on {NODE} ok") == f"etcd on {NODE} ok"
