"""Storage: what the checks work out by themselves, beyond what a fixture cluster shows."""

from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.facts.kube import Node, PersistentVolume, PersistentVolumeClaim, Pod, StorageClass
from auditor.facts.kube.meta import NodeSelector
from auditor.facts.kube.storage import VolumeAttachment
from auditor.facts.parts import OK, part_of
from auditor.facts.store import Facts, Origin, PartFacts
from auditor.model import Status
from checks.storage._ages import by_age
from checks.storage._claims import claims_of, consumers
from checks.storage._classes import create_copy, parameter
from checks.storage._tiers import _TIERS, Pace, tier_of
from checks.storage.reachable import volumes_reachable
from checks.storage.stuck import StuckParameters, stuck_volumes

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def storage_class(provisioner: str, **parameters: str) -> StorageClass:
    return msgspec.convert(
        {"metadata": {"name": "c"}, "provisioner": provisioner, "parameters": parameters}, StorageClass
    )


def facts_of(*objects: Any, views: tuple[Any, ...]) -> Facts:
    parts = {part_of(view).key: PartFacts(OK, tuple(o for o in objects if type(o) is view)) for view in views}
    return Facts(parts, origin=Origin(collected_at=NOW))


class TestTiers:
    @pytest.mark.parametrize("tiers", _TIERS, ids=lambda tiers: tiers.provisioners[0])
    def test_no_tier_is_slow_and_sufficient(self, tiers: Any) -> None:
        assert all(name == name.lower() for name in (*tiers.slow, *tiers.sufficient))
        assert not [name for name in tiers.slow for glob in tiers.sufficient if fnmatchcase(name, glob)]

    @pytest.mark.parametrize("tiers", _TIERS, ids=lambda tiers: tiers.provisioners[0])
    def test_every_default_is_known(self, tiers: Any) -> None:
        for provisioner in tiers.provisioners:
            tier = tier_of(storage_class(provisioner))
            assert (tier is None) is (not tiers.default)
            assert tier is None or (tier.pace is not Pace.NOT_TOLD and tier.is_default)

    @given(name=st.sampled_from(["skuName", "skuname", "SKUNAME", "storageAccountType", "storageaccounttype"]))
    def test_case_does_not_matter(self, name: str) -> None:
        tier = tier_of(storage_class("disk.csi.azure.com", **{name: "standardSSD_lrs"}))

        assert tier is not None
        assert tier.pace is Pace.SLOW

    def test_a_site_overrides_the_table(self) -> None:
        gp2 = storage_class("ebs.csi.aws.com", type="gp2")

        assert tier_of(gp2, sufficient=("GP*",)) is not None
        assert tier_of(gp2, sufficient=("GP*",)).pace is Pace.SUFFICIENT  # type: ignore[union-attr]

    def test_other_provisioners_have_none(self) -> None:
        assert tier_of(storage_class("rook-ceph.rbd.csi.ceph.com", type="gp2")) is None


def test_a_parameter_is_found_in_any_case() -> None:
    assert parameter(storage_class("x", fsType="xfs"), "csi.storage.k8s.io/fstype", "fstype") == "xfs"
    assert parameter(storage_class("x"), "fstype") is None


def test_a_copy_keeps_what_is_not_changed() -> None:
    cls = msgspec.convert(
        {
            "metadata": {"name": "it's"},
            "provisioner": "x",
            "reclaimPolicy": "Delete",
            "allowedTopologies": [{"matchLabelExpressions": [{"key": "zone", "values": ["a"]}]}],
        },
        StorageClass,
    )

    command = create_copy(cls, "it's-retain", reclaimPolicy="Retain")

    assert '"reclaimPolicy": "Retain"' in command
    assert '"allowedTopologies": [{"matchLabelExpressions": [{"key": "zone", "values": ["a"]}]}]' in command
    assert "volumeBindingMode" not in command
    assert """it'"'"'s-retain""" in command


@given(ages=st.lists(st.one_of(st.none(), st.timedeltas(min_value=timedelta(days=-1), max_value=timedelta(days=9)))))
def test_every_object_has_one_age(ages: list[timedelta | None]) -> None:
    limit = timedelta(minutes=10)
    nodes = [msgspec.convert({"metadata": {"name": str(number)}}, Node) for number in range(len(ages))]

    aged = by_age(zip(nodes, ages, strict=True), limit)

    assert sorted([*aged.old, *aged.young, *aged.ageless], key=lambda node: int(node.name)) == nodes
    assert all((age := ages[int(node.name)]) is not None and age > limit for node in aged.old)
    assert all(ages[int(node.name)] is None for node in aged.ageless)


def pod(name: str, claim: str, *, namespace: str = "ns", phase: str = "Pending", **metadata: str) -> Pod:
    return msgspec.convert(
        {
            "metadata": {"name": name, "namespace": namespace, **metadata},
            "spec": {
                "volumes": [
                    {"name": "data", "persistentVolumeClaim": {"claimName": claim}},
                    {"name": "scratch", "ephemeral": {}},
                    {"name": "tmp", "emptyDir": {}},
                ]
            },
            "status": {"phase": phase},
        },
        Pod,
    )


class TestConsumers:
    def test_ephemeral_claims_are_named_after_pod_and_volume(self) -> None:
        assert list(claims_of(pod("exec-1", "data"))) == ["data", "exec-1-scratch"]

    def test_only_living_pods_of_the_namespace_count(self) -> None:
        pods = [
            pod("a", "data"),
            pod("b", "data", phase="Succeeded"),
            pod("c", "data", phase="Failed"),
            pod("d", "data", namespace="other"),
            pod("e", "data", deletionTimestamp="2026-01-01T11:00:00Z"),
            pod("f", "else"),
        ]

        found = consumers(facts_of(*pods, views=(Pod,)), [("ns", "data"), ("ns", "b-scratch"), ("ns", "a-scratch")])

        assert {key: [each.name for each in consuming] for key, consuming in found.items()} == {
            ("ns", "data"): ["a"],
            ("ns", "a-scratch"): ["a"],
        }


KEYS, VALUES = ["zone", "host", "disk"], ["1", "2", "3"]
requirements = st.fixed_dictionaries(
    {
        "key": st.sampled_from(KEYS),
        "operator": st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]),
        "values": st.lists(st.sampled_from(VALUES), max_size=2),
    }
)
names = st.fixed_dictionaries(
    {
        "key": st.just("metadata.name"),
        "operator": st.sampled_from(["In", "NotIn"]),
        "values": st.lists(st.sampled_from(["n0", "n1", "n2"]), min_size=1, max_size=1),
    }
)
terms = st.fixed_dictionaries(
    {"matchExpressions": st.lists(requirements, max_size=3), "matchFields": st.lists(names, max_size=1)}
)
labels = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES))


@given(
    selector=st.lists(terms, min_size=1, max_size=2),
    nodes=st.lists(st.tuples(labels, st.booleans(), st.booleans()), max_size=4),
)
def test_a_volume_is_reached_as_every_single_node_would_say(
    selector: list[dict[str, Any]], nodes: list[tuple[dict[str, str], bool, bool]]
) -> None:
    """The look-up by labels comes to what trying each node comes to."""
    there = [
        msgspec.convert(
            {
                "metadata": {"name": f"n{number}", "labels": its},
                "spec": {"unschedulable": cordoned},
                "status": {"conditions": [{"type": "Ready", "status": str(ready)}]},
            },
            Node,
        )
        for number, (its, ready, cordoned) in enumerate(nodes)
    ]
    required = {"nodeSelectorTerms": selector}
    volume = msgspec.convert(
        {
            "metadata": {"name": "v"},
            "spec": {"nodeAffinity": {"required": required}},
            "status": {"phase": "Bound"},
        },
        PersistentVolume,
    )
    places = msgspec.convert(required, NodeSelector)
    reached = any(
        places.matches(node.labels, name=node.name) and node.is_ready and not node.spec.unschedulable for node in there
    )

    [finding] = volumes_reachable(facts_of(volume, *there, views=(PersistentVolume, Node, Pod)))

    assert (finding.status is Status.OK) is reached


def test_without_a_time_nothing_is_called_stuck_or_fine() -> None:
    attachment = msgspec.convert(
        {
            "metadata": {"name": "csi-1", "creationTimestamp": "2025-01-01T00:00:00Z"},
            "spec": {"attacher": "d", "nodeName": "gone"},
        },
        VolumeAttachment,
    )
    views = (PersistentVolume, VolumeAttachment, Node, PersistentVolumeClaim, Pod, StorageClass)
    facts = Facts(
        {part_of(view).key: PartFacts(OK, ()) for view in views}
        | {part_of(VolumeAttachment).key: PartFacts(OK, (attachment,))}
    )

    assert [finding.status for finding in stuck_volumes(facts, StuckParameters())] == [Status.UNKNOWN]
