"""Pods are what every cluster should admit, and what the site asked for."""

from datetime import UTC, datetime
from typing import Any, cast

from auditor.cluster import Objects
from auditor.sandbox import Images, Sandbox, SandboxSettings
from auditor.sandbox import labels as marks
from auditor.sandbox.agent_pods import agent_container, agent_pod, agent_volume
from auditor.sandbox.pods import container, pod, template
from auditor.sandbox.space import housing

EXPIRES = datetime(2026, 1, 1, tzinfo=UTC)


def sandbox_of(settings: SandboxSettings | None = None) -> Sandbox:
    return Sandbox(
        cast("Objects", None), settings or SandboxSettings(), run_id="0123456789", expires_at=EXPIRES
    ).for_probe("nodes")


def spec_of(settings: SandboxSettings | None = None, **spec: Any) -> Any:
    sandbox = sandbox_of(settings)
    return pod(sandbox, name="a", containers=[container("a", "image", ["true"])], **spec)["spec"]


class TestRestrictedPodSecurity:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""

    def test_of_the_pod(self) -> None:
        security = spec_of()["securityContext"]

        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] > 0
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}

    def test_of_each_container(self) -> None:
        security = container("a", "image", ["true"])["securityContext"]

        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert "privileged" not in security

    def test_of_volumes(self) -> None:
        manifest = agent_pod(sandbox_of(), "node", {}, name="a")
        kinds = {next(key for key in volume if key != "name") for volume in manifest["spec"]["volumes"]}

        assert kinds <= {"configMap", "emptyDir", "persistentVolumeClaim"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(manifest["spec"])


def test_pods_know_no_token_and_end_with_their_run() -> None:
    spec = spec_of(SandboxSettings(expiry_minutes=10))

    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["activeDeadlineSeconds"] == 600
    assert spec["restartPolicy"] == "Never"


def test_templates_carry_the_marks_and_leave_restarts_to_their_owner() -> None:
    made = template(sandbox_of(), containers=[], labels={"app": "a"})

    assert made["metadata"]["labels"].items() >= {"app": "a", **sandbox_of().marks()}.items()
    assert made["metadata"]["labels"][marks.PROBE] == "nodes"
    assert not {"restartPolicy", "activeDeadlineSeconds"} & set(made["spec"])


def test_meshes_add_no_container() -> None:
    made = template(sandbox_of(), containers=[], annotations={"a": "b"})["metadata"]

    assert made["labels"]["sidecar.istio.io/inject"] == "false"
    assert made["annotations"] == {"linkerd.io/inject": "disabled", "a": "b"}


class TestTheSite:
    def test_chooses_places(self) -> None:
        toleration = {"key": "dedicated", "operator": "Exists"}
        spec = spec_of(SandboxSettings(node_selector={"pool": "data"}, tolerations=(toleration,), priority_class="low"))

        assert spec["nodeSelector"] == {"kubernetes.io/os": "linux", "pool": "data"}
        assert spec["tolerations"] == [toleration]
        assert spec["priorityClassName"] == "low"

    def test_chooses_images(self) -> None:
        settings = SandboxSettings(
            images=Images(agent="agent:1", mirror="registry.example.com/m", pull_policy="Never", pull_secrets=("s",))
        )
        manifest = agent_pod(sandbox_of(settings), "node", {}, name="a")

        assert manifest["spec"]["containers"][0]["image"] == "registry.example.com/m/agent:1"
        assert manifest["spec"]["containers"][0]["imagePullPolicy"] == "Never"
        assert manifest["spec"]["imagePullSecrets"] == [{"name": "s"}]

    def test_may_leave_the_user_to_the_cluster(self) -> None:
        security = spec_of(SandboxSettings(run_as_user=0))["securityContext"]

        assert security == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


class TestPlaces:
    def test_a_node_is_told_by_its_name_and_not_by_a_label(self) -> None:
        assert _terms(spec_of(node="n1")) == [
            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}
        ]

    def test_a_zone_is_told_by_either_label(self) -> None:
        keys = [term["matchExpressions"][0]["key"] for term in _terms(spec_of(zone="a"))]

        assert keys == ["topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"]

    def test_other_rules_are_kept(self) -> None:
        apart: dict[str, Any] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []}}

        assert spec_of(zone="a", affinity=apart)["affinity"].keys() == {"nodeAffinity", "podAntiAffinity"}
        assert "affinity" not in spec_of()


class TestTheAgent:
    def test_is_started_from_the_config_map(self) -> None:
        sandbox = sandbox_of()
        made = agent_container(sandbox, "node", {"a": 1})
        [agent] = housing(sandbox_of(SandboxSettings(namespace="given")), storage_bytes=0, pods=0)

        assert made["command"] == ["python3", "/auditor/agent.pyz", "node"]
        assert {"name": "AUDITOR_ARGUMENTS", "value": '{"a": 1}'} in made["env"]
        assert agent["metadata"]["name"] == agent_volume(sandbox)["configMap"]["name"]
        assert list(agent["binaryData"]) == ["agent.pyz"]

    def test_is_part_of_the_housing(self) -> None:
        kinds = [manifest["kind"] for manifest in housing(sandbox_of(), storage_bytes=0, pods=0)]

        assert kinds == ["Namespace", "ResourceQuota", "ConfigMap"]

    def test_owns_its_volumes(self) -> None:
        claim = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}

        assert agent_pod(sandbox_of(), "disk", {}, name="a", volumes=[claim])["spec"]["securityContext"]["fsGroup"]
        assert "fsGroup" not in agent_pod(sandbox_of(), "disk", {}, name="a")["spec"]["securityContext"]

    def test_gets_what_the_probe_asks_for(self) -> None:
        manifest = agent_pod(
            sandbox_of(), "serve", {}, name="a", labels={"app": "a"}, hostname="h", container_more={"cpu": "500m"}
        )

        assert manifest["spec"]["hostname"] == "h"
        assert manifest["spec"]["containers"][0]["resources"]["requests"]["cpu"] == "500m"
        assert manifest["metadata"]["labels"]["app"] == "a"


def _terms(spec: Any) -> Any:
    return spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
