"""The kubelet's configuration: from both sources, with the documented defaults, and told from what was not read."""

import json
from datetime import timedelta
from typing import Any

import pytest
import yaml

from auditor.facts.kube import ConfigMap
from auditor.facts.kube.meta import ObjectMeta
from auditor.facts.kubelet import (
    CONFIGZ_FILE,
    KUBELET_PARTS,
    KubeletSource,
    PriorityGracePeriod,
    kubelet_configuration,
    parse_configz,
    parse_kubeadm,
)
from auditor.facts.parts import MISSING, OK, PartState, PartStatus, UnreadableError
from auditor.facts.store import Facts, PartFacts
from auditor.facts.version import parse_version
from auditor.reading_plan import KUBELET_CONFIGURATION

CONFIGZ, CONFIG_MAP = KUBELET_PARTS

FORBIDDEN = PartFacts(PartStatus(state=PartState.FORBIDDEN))

KUBEADM = """\
apiVersion: kubelet.config.k8s.io/v1beta1
cgroupDriver: systemd
clusterDNS:
- 10.96.0.10
clusterDomain: cluster.local
containerRuntimeEndpoint: ""
evictionPressureTransitionPeriod: 0s
kind: KubeletConfiguration
memorySwap: {}
nodeStatusUpdateFrequency: 0s
resolvConf: /run/systemd/resolve/resolv.conf
shutdownGracePeriod: 0s
shutdownGracePeriodCriticalPods: 0s
"""


def configz(**fields: Any) -> str:
    return json.dumps({"kubeletconfig": fields})


def facts(*, configz: PartFacts | None = None, config_map: PartFacts | None = None) -> Facts:
    parts = {CONFIGZ.key: configz or PartFacts(MISSING), CONFIG_MAP.key: config_map or PartFacts(OK, ())}
    return Facts(parts).restricted_to(KUBELET_PARTS)


def held(data: dict[str, str] | None) -> PartFacts:
    metadata = ObjectMeta(name="kubelet-config", namespace="kube-system")
    return PartFacts(OK, (ConfigMap(metadata=metadata, data=data),))


class TestSources:
    def test_the_file_is_the_one_that_is_collected(self) -> None:
        assert CONFIGZ_FILE == KUBELET_CONFIGURATION

    def test_one_node_tells_before_kubeadm_does(self) -> None:
        found = kubelet_configuration(facts(configz=PartFacts(OK, configz(maxPods=250)), config_map=FORBIDDEN))

        assert found is not None
        assert (found.source, found.max_pods) == (KubeletSource.CONFIGZ, 250)

    def test_kubeadm_tells_where_no_node_was_asked(self) -> None:
        found = kubelet_configuration(facts(config_map=held({"kubelet": KUBEADM})))

        assert found is not None
        assert found.source is KubeletSource.KUBEADM

    @pytest.mark.parametrize("config_map", [PartFacts(OK, ()), held(None), held({"other": "text"})])
    def test_without_either_nothing_is_known(self, config_map: PartFacts) -> None:
        assert kubelet_configuration(facts(config_map=config_map)) is None

    def test_what_may_not_be_read_is_not_taken_for_absent(self) -> None:
        with pytest.raises(UnreadableError, match="kubelet-config: forbidden"):
            kubelet_configuration(facts(configz=FORBIDDEN, config_map=FORBIDDEN))


class TestDefaults:
    def test_of_kubeadm(self) -> None:
        found = parse_kubeadm(KUBEADM)

        assert found.cgroup_driver == "systemd"
        assert found.cluster_dns == ("10.96.0.10",)
        assert found.cluster_domain == "cluster.local"
        assert found.resolv_conf == "/run/systemd/resolve/resolv.conf"
        assert found.node_status_update_frequency == timedelta(seconds=10)
        assert found.shutdown_grace_period == timedelta()
        assert {"memorySwap", "shutdownGracePeriod"} <= found.stated
        assert "failSwapOn" not in found.stated

    def test_of_what_is_not_stated(self) -> None:
        found = parse_configz(configz())

        assert found.stated == frozenset()
        assert found.fail_swap_on
        assert found.swap_behavior == "NoSwap"
        assert found.max_pods == 110
        assert found.resolv_conf == "/etc/resolv.conf"
        assert found.eviction_hard["nodefs.available"] == "10%"
        assert found.image_gc_high_threshold_percent == 85
        assert found.container_log_max_size == "10Mi"
        assert found.serialize_image_pulls
        assert found.system_reserved == found.kube_reserved == {}

    def test_an_empty_resolver_configuration_is_none_at_all(self) -> None:
        assert parse_configz(configz(resolvConf="")).resolv_conf == ""

    @pytest.mark.parametrize(
        ("stated", "serial"),
        [
            ({}, True),
            ({"maxParallelImagePulls": 1}, True),
            ({"maxParallelImagePulls": 3}, False),
            ({"serializeImagePulls": False}, False),
        ],
    )
    def test_parallel_pulls_end_serial_ones(self, *, stated: dict[str, Any], serial: bool) -> None:
        assert parse_configz(configz(**stated)).serialize_image_pulls is serial

    @pytest.mark.parametrize(
        ("stated", "version", "refuses"),
        [
            ({}, "v1.34.9", False),
            ({}, "v1.35.0", True),
            ({}, "v1.35.0-eks-113cf36", True),
            ({}, "v2.0.0", True),
            ({"failCgroupV1": False}, "v1.35.4", False),
            ({"failCgroupV1": True}, "v1.31.0", True),
        ],
    )
    def test_whether_cgroup_v1_is_refused_depends_on_the_release(
        self, *, stated: dict[str, Any], version: str, refuses: bool
    ) -> None:
        assert parse_configz(configz(**stated)).refuses_cgroup_v1(parse_version(version)) is refuses


def test_everything_that_is_stated() -> None:
    found = parse_configz(
        configz(
            shutdownGracePeriod="10m0s",
            shutdownGracePeriodCriticalPods="1m30s",
            shutdownGracePeriodByPodPriority=[{"priority": 0, "shutdownGracePeriodSeconds": 30}],
            failSwapOn=False,
            memorySwap={"swapBehavior": "LimitedSwap"},
            evictionHard={"memory.available": "200Mi"},
            imageGCHighThresholdPercent=100,
            systemReserved={"memory": "256Mi"},
            kubeReserved={"cpu": "100m"},
            nodeStatusUpdateFrequency="4s",
            featureGates={"NodeSwap": True},
        )
    )

    assert found.shutdown_grace_period == timedelta(minutes=10)
    assert found.shutdown_grace_period_critical_pods == timedelta(seconds=90)
    assert found.shutdown_grace_period_by_pod_priority == (PriorityGracePeriod(shutdown_grace_period_seconds=30),)
    assert not found.fail_swap_on
    assert found.swap_behavior == "LimitedSwap"
    assert found.eviction_hard == {"memory.available": "200Mi"}
    assert found.image_gc_high_threshold_percent == 100
    assert found.system_reserved == {"memory": "256Mi"}
    assert found.kube_reserved == {"cpu": "100m"}
    assert found.node_status_update_frequency == timedelta(seconds=4)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Forbidden",
        "[]",
        '{"kubeletconfig": []}',
        "{}",
        configz(maxPods="many"),
        configz(shutdownGracePeriod="soon"),
    ],
)
def test_another_answer_is_not_read(text: str) -> None:
    with pytest.raises(UnreadableError, match=r"kubelet-configz\.json: failed \(no kubelet configuration: "):
        parse_configz(text)


@pytest.mark.parametrize("text", ["", "- a", "a: [", "shutdownGracePeriod: 45", yaml.safe_dump({"maxPods": "many"})])
def test_another_config_map_is_not_read(text: str) -> None:
    with pytest.raises(UnreadableError, match=r"kubelet-config: failed \(no kubelet configuration: "):
        parse_kubeadm(text)
