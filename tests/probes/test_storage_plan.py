"""What the storage probe proves and plans, and how it takes steps; without a cluster."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import import_module
from typing import Any
from unittest.mock import Mock

import msgspec
import pytest

from auditor.cluster import ObjectError
from auditor.cluster.pace import RequestError
from auditor.facts.kube import Node, StorageClass
from auditor.facts.observations import Cause, StepState
from auditor.sandbox import Sandbox, SandboxSettings, Trouble, TroubleError
from auditor.sandbox.scope import ProbeOptions, Scope

plan: Any = import_module("auditor.checks.probes.storage").plan
choice: Any = import_module("auditor.checks.probes.storage._choice")
steps: Any = import_module("auditor.checks.probes.storage._steps")

FORBIDDEN = 'snapshots is forbidden: User "u" cannot create resource "snapshots"'


def storage_class(
    name: str, provisioner: str = "ebs.csi.aws.com", *, default: bool = False, **more: Any
) -> StorageClass:
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    metadata = {"name": name, "annotations": annotations}
    return msgspec.convert({"metadata": metadata, "provisioner": provisioner, **more}, StorageClass)


def node(name: str, zone: str) -> Node:
    labels = {"topology.kubernetes.io/zone": zone}
    status = {"conditions": [{"type": "Ready", "status": "True"}]}
    return msgspec.convert({"metadata": {"name": name, "labels": labels}, "status": status}, Node)


def scope(*classes: StorageClass, used: tuple[str, ...] = (), nodes: tuple[Node, ...] = (), **options: Any) -> Scope:
    return Scope(
        nodes=nodes,
        classes=classes,
        classes_used=frozenset(used),
        versions={},
        options=ProbeOptions(**options),
    )


def sandbox() -> Sandbox:
    return Sandbox(Mock(), SandboxSettings(), run_id="0123456789", expires_at=datetime(2026, 1, 1, tzinfo=UTC))


class TestChoice:
    def test_takes_the_default_first_and_what_is_used(self) -> None:
        chosen, left_out = choice.choose(
            scope(storage_class("a"), storage_class("b", default=True), storage_class("c"), used=("c",))
        )

        assert [each.cls.name for each in chosen] == ["b", "c"]
        assert left_out == {"a": "it is not the default, and no claim uses it"}

    def test_takes_what_is_named_instead(self) -> None:
        chosen, left_out = choice.choose(
            scope(storage_class("fast-a"), storage_class("b", default=True), storage_classes=("fast-*",))
        )

        assert [each.cls.name for each in chosen] == ["fast-a"]
        assert list(left_out) == ["b"]

    @pytest.mark.parametrize(
        "provisioner", ["kubernetes.io/no-provisioner", "fsx.csi.aws.com", "s3.csi.aws.com", "listeners.stackable.tech"]
    )
    def test_leaves_out_what_is_made_by_hand_costly_or_no_volume(self, provisioner: str) -> None:
        chosen, left_out = choice.choose(scope(storage_class("a", provisioner, default=True)))

        assert not chosen
        assert left_out["a"]

    def test_asks_for_what_the_vendor_makes_at_least(self) -> None:
        assert choice.least_bytes(storage_class("a", "diskplugin.csi.alibabacloud.com")) == 20 * choice.GIB
        assert choice.least_bytes(storage_class("a", parameters={"type": "st1"})) == 125 * choice.GIB
        assert choice.least_bytes(storage_class("a", parameters={"type": "gp3"})) == 0

    def test_begins_in_a_zone_where_the_pod_can_move(self) -> None:
        waits = storage_class("a", volumeBindingMode="WaitForFirstConsumer")
        uneven = [node("a1", "a"), node("b1", "b"), node("b2", "b")]

        assert choice.zone_with_company(uneven, waits) == "b"
        assert choice.zone_with_company(uneven, storage_class("a")) is None
        assert choice.zone_with_company(uneven[:2], waits) is None


class TestPlan:
    def test_is_pure_and_bounded(self) -> None:
        box = sandbox()

        made = plan(box, scope(storage_class("a", default=True), nodes=(node("n1", "a"), node("n2", "a"))))

        box.objects.assert_not_called()  # type: ignore[attr-defined]
        assert made.pods_at_once == 10
        assert made.storage_bytes == (6 + 10) * choice.GIB
        assert {each.manifest["kind"] for each in made.objects} == {"PersistentVolumeClaim", "Pod"}

    def test_of_nothing_is_small(self) -> None:
        made = plan(sandbox(), scope(storage_class("a")))

        assert (made.pods_at_once, made.storage_bytes) == (1, 0)
        assert made.notes == ("StorageClass a is left out: it is not the default, and no claim uses it.",)


class TestSteps:
    @pytest.mark.parametrize(
        ("error", "state", "reason"),
        [
            (steps.NotDoneError("NoClass", "none"), StepState.NOT_DONE, "NoClass"),
            (steps.FailedError(Cause(reason="Ignored", message="m")), StepState.FAILED, "Ignored"),
            (TroubleError(Trouble(reason="Mount", message="m")), StepState.FAILED, "Mount"),
        ],
    )
    def test_say_why_not(self, error: Exception, state: StepState, reason: str) -> None:
        taken = steps.Steps()

        assert not taken.take("expand", Mock(side_effect=error))

        [step] = taken.taken
        assert step.cause is not None
        assert (step.state, step.cause.reason) == (state, reason)

    def test_do_without_an_optional_permission(self) -> None:
        taken = steps.Steps()

        taken.take("snapshot", Mock(side_effect=forbidden()))

        [step] = taken.taken
        assert step.cause is not None
        assert step.state is StepState.NOT_DONE
        assert step.cause.missing_permission == "create snapshots in namespace box"

    def test_give_up_without_a_needed_permission(self) -> None:
        with pytest.raises(ObjectError):
            steps.Steps().take("bind", Mock(side_effect=forbidden()), optional=False)


def forbidden() -> ObjectError:
    return ObjectError(RequestError(403, FORBIDDEN), verb="create", resource="snapshots", namespace="box")
