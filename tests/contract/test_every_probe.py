"""What every probe owes: a pure plan, objects that any cluster can admit and anybody can find, rights, a check."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NoReturn, TypeVar, cast

import msgspec
import pytest

from auditor.cluster import ApiServer, Objects, connect
from auditor.facts.kube import Node, PersistentVolumeClaim, StorageClass
from auditor.facts.kube.meta import KubeObject
from auditor.probing import ProbeRun, RunPlan
from auditor.registry import load_checks, load_probes
from auditor.sandbox import Images, Sandbox, SandboxSettings, labels
from auditor.sandbox.kinds import KINDS
from auditor.sandbox.scope import ProbeOptions, Scope
from auditor.units.probe import Manifest, Probe, ProbePlan
from tests.testbed.client import Cluster

PROBES = list(load_probes())
RUN_ID = "0123456789"
EXPIRES_AT = datetime(2026, 1, 1, 12, tzinfo=UTC)

DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
VERBS = {"create", "delete", "get", "list", "patch", "update", "watch"}
TEMPLATED = {"Deployment", "Job", "StatefulSet"}

K = TypeVar("K", bound=KubeObject)

every_probe = pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.id)


class NoObjects:
    """Stands for a cluster that must not be asked."""

    def __getattr__(self, name: str) -> NoReturn:
        raise AssertionError(f"a plan asks the cluster: {name}")


def sandbox_of(probe: Probe) -> Sandbox:
    settings = SandboxSettings(images=Images(mirror="registry.example.com"), node_selector={"pool": "data"})
    objects = cast("Objects", NoObjects())
    return Sandbox(objects, settings, run_id=RUN_ID, expires_at=EXPIRES_AT).for_probe(probe.id)


def scope(*, nodes: int = 3, classes: int = 2) -> Scope:
    """A cluster of so many nodes, each in a zone of its own."""
    return Scope(
        nodes=[_node(number) for number in range(nodes)],
        classes=[_storage_class(number) for number in range(classes)],
        classes_used=frozenset({"class-1"}),
        versions={api.id: api.versions[0] for api in KINDS.values()},
        options=ProbeOptions(external_name="www.example.com", load_balancer=True),
    )


def _node(number: int) -> Node:
    node_labels = {
        "kubernetes.io/hostname": f"n{number}",
        "kubernetes.io/os": "linux",
        "topology.kubernetes.io/zone": f"zone-{number}",
    }
    return _decoded(
        Node,
        {
            "metadata": {"name": f"n{number}", "labels": node_labels},
            "spec": {},
            "status": {
                "conditions": [{"type": "Ready", "status": "True"}],
                "allocatable": {"cpu": "4", "memory": "16Gi", "pods": "110"},
                "nodeInfo": {"operatingSystem": "linux"},
            },
        },
    )


def _storage_class(number: int) -> StorageClass:
    note = {"storageclass.kubernetes.io/is-default-class": "true"} if number == 0 else {}
    return _decoded(
        StorageClass,
        {
            "metadata": {"name": f"class-{number}", "annotations": note},
            "provisioner": "csi.example.com",
            "allowVolumeExpansion": True,
            "volumeBindingMode": "WaitForFirstConsumer",
        },
    )


def _decoded(view: type[K], manifest: Manifest) -> K:
    return msgspec.json.decode(json.dumps(manifest), type=view)


def plan_of(probe: Probe, where: Scope | None = None) -> ProbePlan:
    return probe.plan(sandbox_of(probe), where or scope())


def created(probe: Probe) -> list[Manifest]:
    """The manifests as they are sent."""
    view = sandbox_of(probe)
    return [view.stamped(each.manifest) for each in plan_of(probe).objects]


def templates(manifest: Manifest) -> Iterator[Manifest]:
    """The pods that a manifest makes: metadata and spec."""
    if manifest["kind"] == "Pod":
        yield manifest
    elif manifest["kind"] in TEMPLATED:
        yield manifest["spec"]["template"]


def test_all_probes_can_be_loaded() -> None:
    assert PROBES
    assert not load_probes().failures


class TestTheDeclaration:
    @every_probe
    def test_its_document_has_its_name(self, probe: Probe) -> None:
        assert probe.document.part_id == f"observations/{probe.id}.json"
        assert DNS_LABEL.fullmatch(probe.id)

    @every_probe
    def test_its_title_says_what_it_finds_out(self, probe: Probe) -> None:
        assert 0 < len(probe.title) <= 120
        assert not probe.title.endswith((".", "?", "!"))

    @every_probe
    def test_a_check_reads_its_observations(self, probe: Probe) -> None:
        assert any(part.id == probe.document.part_id for check in load_checks() for part in check.reads)

    @every_probe
    def test_its_rights_are_such_as_rbac_knows(self, probe: Probe) -> None:
        served = {("" if api.group == "core" else api.group, api.plural) for api in KINDS.values()}

        assert probe.rights
        for right in probe.rights:
            assert right.verb in VERBS
            is_of_an_addon = right.optional and "." in right.group
            assert (right.group, right.resource.partition("/")[0]) in served or is_of_an_addon, right
            assert right.resource != "pods/exec"
        assert len(set(probe.rights)) == len(probe.rights)

    @every_probe
    def test_it_may_create_what_it_plans(self, probe: Probe) -> None:
        may = {(right.group, right.resource) for right in probe.rights if right.verb == "create"}

        for manifest in created(probe):
            api = KINDS[manifest["kind"]]
            assert ("" if api.group == "core" else api.group, api.plural) in may


class TestThePlan:
    @every_probe
    def test_is_pure(self, probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> NoReturn:
            raise AssertionError("a plan opens a connection")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        assert plan_of(probe) == plan_of(probe)

    @every_probe
    @pytest.mark.parametrize("nodes", [0, 1, 3, 500])
    @pytest.mark.parametrize("classes", [0, 1])
    def test_copes_with_any_cluster_and_keeps_its_cost_within_bounds(
        self, probe: Probe, nodes: int, classes: int
    ) -> None:
        plan = plan_of(probe, scope(nodes=nodes, classes=classes))

        assert 0 <= plan.pods_at_once <= ProbeOptions().burst_pods + 50
        assert plan.seconds < 15 * 60
        assert all(each.count > 0 for each in plan.objects)
        assert all(plan.notes)

    @every_probe
    def test_counts_the_storage_of_its_claims(self, probe: Probe) -> None:
        claims = [m for m in created(probe) if m["kind"] == PersistentVolumeClaim.api.kind]
        sets = [c for m in created(probe) for c in m.get("spec", {}).get("volumeClaimTemplates", ())]

        assert bool(claims or sets) is bool(plan_of(probe).storage_bytes)

    def test_no_two_probes_use_one_name(self) -> None:
        names = [(m["kind"], m["metadata"]["name"]) for probe in PROBES for m in created(probe)]

        assert len(names) == len(set(names))


class TestItsObjects:
    @every_probe
    def test_are_marked(self, probe: Probe) -> None:
        marks = labels.marks(RUN_ID, expires_at=EXPIRES_AT, probe=probe.id)

        for manifest in created(probe):
            assert marks.items() <= manifest["metadata"]["labels"].items()
            for template in templates(manifest):
                assert marks.items() <= template["metadata"]["labels"].items(), manifest["metadata"]["name"]
            for claim in manifest.get("spec", {}).get("volumeClaimTemplates", ()):
                assert marks.items() <= claim["metadata"].get("labels", {}).items(), manifest["metadata"]["name"]

    @every_probe
    def test_have_names_that_may_stand_anywhere(self, probe: Probe) -> None:
        for manifest in created(probe):
            name = manifest["metadata"]["name"]
            assert DNS_LABEL.fullmatch(name), name
            assert RUN_ID in name

    @every_probe
    def test_are_of_kinds_that_the_clean_up_knows(self, probe: Probe) -> None:
        for manifest in created(probe):
            api = KINDS[manifest["kind"]]
            group = manifest["apiVersion"].rpartition("/")[0] or "core"
            assert group == api.group

    @every_probe
    def test_make_pods_that_restricted_pod_security_admits(self, probe: Probe) -> None:
        for manifest in created(probe):
            for template in templates(manifest):
                _assert_restricted(template["spec"])

    @every_probe
    def test_make_pods_that_obey_the_site(self, probe: Probe) -> None:
        for manifest in created(probe):
            for template in templates(manifest):
                spec = template["spec"]
                assert spec["nodeSelector"].items() >= {"pool": "data"}.items()
                assert not spec["automountServiceAccountToken"]
                for container in _containers(spec):
                    assert container["image"].startswith("registry.example.com/")
                    assert {"cpu", "memory"} <= container["resources"]["requests"].keys()


def _containers(spec: Manifest) -> list[Manifest]:
    return [*spec["containers"], *spec.get("initContainers", ())]


def _assert_restricted(spec: Manifest) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    assert not any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC"))
    allowed = {"configMap", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected"}
    assert all(volume.keys() - {"name"} <= allowed for volume in spec.get("volumes", ()))
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"].get("runAsUser") != 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in _containers(spec):
        own = container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert not own.get("privileged")
        assert own.get("runAsUser") != 0
        assert not any("hostPort" in port for port in container.get("ports", ()))


# --- as a real API server sees it


@pytest.fixture(scope="module")
def planned(cluster: Cluster) -> tuple[ProbeRun, RunPlan]:
    """A run of all probes, planned in the namespace ``default``."""
    run = ProbeRun(
        connect(kubeconfig=cluster.kubeconfig),
        PROBES,
        settings=SandboxSettings(namespace="default"),
        options=ProbeOptions(),
        now=datetime.now(UTC),
    )
    return run, run.plan(run.look_around())


@every_probe
def test_a_real_server_would_take_its_objects(
    cluster: Cluster, fresh_namespace: str, planned: tuple[ProbeRun, RunPlan], probe: Probe
) -> None:
    enforce = {"pod-security.kubernetes.io/enforce": "restricted"}
    cluster.core.patch_namespace(fresh_namespace, {"metadata": {"labels": enforce}})
    run, plan = planned
    view = run.sandbox.for_probe(probe.id)
    objects = Objects(ApiServer(connect(kubeconfig=cluster.kubeconfig)))

    assert plan.probes[probe.id].objects or plan.probes[probe.id].notes  # a probe that stores nothing says so
    for each in plan.probes[probe.id].objects:
        manifest = view.stamped(each.manifest)
        for sent in (manifest, *_pods_of(manifest)):
            api = KINDS[sent["kind"]]
            place = {"namespace": fresh_namespace} if api.namespaced else {}
            spec = {
                key: value for key, value in sent.get("spec", {}).items() if key != "priorityClassName"
            }  # not there
            sent_there = {**sent, "metadata": {**sent["metadata"], **place}, **({"spec": spec} if spec else {})}
            answer = objects.create(api, sent_there, dry_run=True)
            assert answer["metadata"]["uid"]


def _pods_of(manifest: Manifest) -> Iterator[Manifest]:
    """The pods of a template on their own, which Pod Security looks at when they are made."""
    for template in templates(manifest) if manifest["kind"] in TEMPLATED else ():
        mounts = {claim["metadata"]["name"] for claim in manifest["spec"].get("volumeClaimTemplates", ())}
        claims = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in sorted(mounts)]
        spec = {**template["spec"], "volumes": [*template["spec"].get("volumes", ()), *claims]}
        metadata = {**template["metadata"], "name": manifest["metadata"]["name"]}
        yield {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
