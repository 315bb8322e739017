"""Which version of each resource is asked for, against answers as API servers give them."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import msgspec
import pytest

from auditor.cluster import ApiServer, Limits, RequestError, discover
from auditor.cluster.discovery import list_path, object_path
from auditor.cluster.pace import Deadline
from auditor.facts.kube import ConfigMap, Pod
from auditor.facts.parts import Api, PartState

T = TypeVar("T")

KAFKA = Api(group="kafka.strimzi.io", versions=("v1", "v1beta2"), plural="kafkas", kind="Kafka", namespaced=True)
TOPICS = Api(
    group="kafka.strimzi.io", versions=("v1", "v1beta2"), plural="kafkatopics", kind="KafkaTopic", namespaced=True
)
FLINK = Api(
    group="flink.apache.org",
    versions=("v1beta1",),
    plural="flinkdeployments",
    kind="FlinkDeployment",
    namespaced=True,
)


class Recorded:
    """An API server that only knows some answers, or the status with which it refuses."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.limits = Limits()
        self.asked: list[str] = []
        self._answers = answers

    def json(self, path: str, shape: type[T], *, deadline: Deadline) -> T:  # noqa: ARG002
        self.asked.append(path)
        answer = self._answers.get(path, 404)
        if isinstance(answer, int):
            raise RequestError(answer, "refused")
        return msgspec.convert(answer, type=shape)


def recorded(answers: dict[str, Any]) -> ApiServer:
    return cast(ApiServer, Recorded(answers))


def groups(**versions: tuple[str, ...]) -> dict[str, Any]:
    """The answer to /apis; the first version of each group is the preferred one, though the server lists it last."""

    def group(name: str, offered: tuple[str, ...]) -> dict[str, Any]:
        entries = [{"groupVersion": f"{name}/{version}", "version": version} for version in offered]
        return {"name": name, "versions": entries[::-1], "preferredVersion": entries[0]}

    found = [group(name.replace("_", "."), offered) for name, offered in versions.items()]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": found}


def resources(*plurals: str, verbs: tuple[str, ...] = ("get", "list", "watch")) -> dict[str, Any]:
    entries = [{"name": plural, "singularName": "", "namespaced": True, "verbs": verbs} for plural in plurals]
    return {"kind": "APIResourceList", "groupVersion": "x/v1", "resources": entries}


def test_the_preferred_version_is_asked_for_where_it_is_understood() -> None:
    server = recorded(
        {
            "/apis": groups(kafka_strimzi_io=("v1beta2", "v1")),
            "/apis/kafka.strimzi.io/v1beta2": resources("kafkas"),
            "/apis/kafka.strimzi.io/v1": resources("kafkas"),
        }
    )

    served = discover(server, [KAFKA])

    assert served.versions == {"kafka.strimzi.io/kafkas": "v1beta2"}
    assert not served.gaps


def test_a_preferred_version_that_is_not_understood_gives_way_to_another() -> None:
    server = recorded(
        {
            "/apis": groups(kafka_strimzi_io=("v2", "v1beta2", "v1alpha1")),
            "/apis/kafka.strimzi.io/v2": resources("kafkas"),
            "/apis/kafka.strimzi.io/v1beta2": resources("kafkas"),
        }
    )

    assert discover(server, [KAFKA]).versions == {"kafka.strimzi.io/kafkas": "v1beta2"}


def test_versions_of_one_group_hold_different_resources() -> None:
    server = recorded(
        {
            "/apis": groups(kafka_strimzi_io=("v1", "v1beta2")),
            "/apis/kafka.strimzi.io/v1": resources("kafkas"),
            "/apis/kafka.strimzi.io/v1beta2": resources("kafkas", "kafkatopics"),
        }
    )

    served = discover(server, [KAFKA, TOPICS])

    assert served.versions == {"kafka.strimzi.io/kafkas": "v1", "kafka.strimzi.io/kafkatopics": "v1beta2"}


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"/apis": groups()}, "the server serves flink.apache.org/flinkdeployments not at all"),
        (
            {"/apis": groups(flink_apache_org=("v2", "v1"))},
            "the server serves flink.apache.org/flinkdeployments only in versions v2, v1",
        ),
    ],
)
def test_what_is_not_served_is_absent(answers: dict[str, Any], reason: str) -> None:
    served = discover(recorded(answers), [FLINK])

    assert served.versions == {}
    assert served.gaps["flink.apache.org/flinkdeployments"].state is PartState.ABSENT
    assert served.gaps["flink.apache.org/flinkdeployments"].reason == reason


@pytest.mark.parametrize("listed", [resources("flinksessionjobs"), resources("flinkdeployments", verbs=("get",))])
def test_a_group_without_the_resource_or_without_its_list_does_not_serve_it(listed: dict[str, Any]) -> None:
    server = recorded({"/apis": groups(flink_apache_org=("v1beta1",)), "/apis/flink.apache.org/v1beta1": listed})

    assert discover(server, [FLINK]).gaps["flink.apache.org/flinkdeployments"].state is PartState.ABSENT


@pytest.mark.parametrize("status", [403, 404])
def test_where_discovery_is_not_allowed_the_list_tells(status: int) -> None:
    served = discover(recorded({"/apis": status}), [KAFKA, Pod.api])

    assert served.versions == {"kafka.strimzi.io/kafkas": "v1", "core/pods": "v1"}
    assert not served.gaps
    assert not served.groups


def test_a_group_that_does_not_answer_is_asked_for_all_the_same() -> None:
    server = recorded(
        {
            "/apis": groups(kafka_strimzi_io=("v1beta2", "v1"), flink_apache_org=("v1beta1",)),
            "/apis/kafka.strimzi.io/v1beta2": 503,
            "/apis/kafka.strimzi.io/v1": 503,
            "/apis/flink.apache.org/v1beta1": resources("flinkdeployments"),
        }
    )

    served = discover(server, [KAFKA, FLINK])

    assert served.versions == {"kafka.strimzi.io/kafkas": "v1beta2", "flink.apache.org/flinkdeployments": "v1beta1"}


def test_a_version_that_answers_is_surer_than_one_that_does_not() -> None:
    server = recorded(
        {
            "/apis": groups(kafka_strimzi_io=("v1", "v1beta2")),
            "/apis/kafka.strimzi.io/v1": 503,
            "/apis/kafka.strimzi.io/v1beta2": resources("kafkas"),
        }
    )

    assert discover(server, [KAFKA]).versions == {"kafka.strimzi.io/kafkas": "v1beta2"}


def test_each_group_version_is_asked_for_once_and_only_if_it_is_needed() -> None:
    server = Recorded(
        {
            "/apis": groups(kafka_strimzi_io=("v1", "v1beta2"), flink_apache_org=("v1beta1",)),
            "/api/v1": resources("pods", "configmaps"),
            "/apis/kafka.strimzi.io/v1": resources("kafkas", "kafkatopics"),
        }
    )

    discover(cast(ApiServer, server), [KAFKA, TOPICS, Pod.api, ConfigMap.api, KAFKA])

    assert server.asked == ["/apis", "/apis/kafka.strimzi.io/v1", "/api/v1"]


def test_a_server_that_does_not_answer_is_an_error() -> None:
    with pytest.raises(RequestError):
        discover(recorded({"/apis": 503}), [KAFKA])


def test_all_groups_are_told() -> None:
    served = discover(recorded({"/apis": groups(machine_openshift_io=("v1",))}), [])

    assert served.groups == {"core", "machine.openshift.io"}


def test_paths() -> None:
    assert list_path(Pod.api, "v1") == "/api/v1/pods"
    assert list_path(KAFKA, "v1beta2") == "/apis/kafka.strimzi.io/v1beta2/kafkas"
    assert (
        object_path(ConfigMap.api, "v1", "kube-system/coredns") == "/api/v1/namespaces/kube-system/configmaps/coredns"
    )
    roles = Api(
        group="rbac.authorization.k8s.io",
        versions=("v1",),
        plural="clusterroles",
        kind="ClusterRole",
        namespaced=False,
    )
    prefix = "/apis/rbac.authorization.k8s.io/v1/clusterroles/"
    assert object_path(roles, "v1", "system:node") == f"{prefix}system:node"
    assert object_path(roles, "v1", "a b?c#d%e") == f"{prefix}a%20b%3Fc%23d%25e"
