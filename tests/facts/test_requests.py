"""Requests: the scheduler's arithmetic, by example and against a slow copy of its rules."""

from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from auditor.facts.kube import Node, Pod, PodSpec
from auditor.facts.quantity import parse_quantity
from auditor.facts.requests import NOTHING, Amounts, NodeLoad, allocatable, load_of_nodes, pod_requests

MIB = 2**20


def container(*, always: bool = False, storage: str | None = None, **requests: str) -> dict[str, Any]:
    if storage is not None:
        requests["ephemeral-storage"] = storage
    made: dict[str, Any] = {"name": "c", "resources": {"requests": requests}} if requests else {"name": "c"}
    return {**made, "restartPolicy": "Always"} if always else made


def spec(
    containers: Sequence[dict[str, Any]] = (), init: Sequence[dict[str, Any]] | None = None, **fields: Any
) -> PodSpec:
    return msgspec.convert({"containers": containers, "initContainers": init, **fields}, type=PodSpec)


def pod(node: str | None, *, phase: str = "Running", owner: str | None = None, cpu: str = "1") -> Pod:
    metadata: dict[str, Any] = {"name": "p", "namespace": "ns"}
    if owner:
        metadata["ownerReferences"] = [{"kind": owner, "name": "o"}]
    fields = {"nodeName": node, "containers": [container(cpu=cpu)]}
    return msgspec.convert({"metadata": metadata, "spec": fields, "status": {"phase": phase}}, type=Pod)


class TestPods:
    def test_containers_add_up(self) -> None:
        asked = pod_requests(
            spec([container(cpu="250m", memory="1Gi"), container(cpu="1.5"), container(storage="2Gi")])
        )

        assert asked == Amounts(1750, 1024 * MIB, 2048 * MIB, 1)

    def test_a_pod_without_requests_takes_a_place_only(self) -> None:
        assert pod_requests(spec([container()])) == Amounts(0, 0, 0, 1)

    def test_amounts_are_rounded_up_as_the_scheduler_does(self) -> None:
        assert pod_requests(spec([container(cpu="100u", memory="1500m")])) == Amounts(1, 2, 0, 1)

    def test_init_containers_count_at_their_worst_moment(self) -> None:
        asked = pod_requests(
            spec([container(cpu="1", memory="1Gi")], init=[container(cpu="3"), container(memory="512Mi")])
        )

        assert asked == Amounts(3000, 1024 * MIB, 0, 1)

    def test_sidecars_count_with_the_containers(self) -> None:
        assert pod_requests(spec([container(cpu="1")], init=[container(cpu="2", always=True)])).cpu_millicores == 3000

    def test_init_containers_run_beside_the_sidecars_before_them(self) -> None:
        sidecar, init = container(cpu="2", always=True), container(cpu="5")

        assert pod_requests(spec([container(cpu="1")], init=[sidecar, init])).cpu_millicores == 7000
        assert pod_requests(spec([container(cpu="1")], init=[init, sidecar])).cpu_millicores == 5000

    def test_requests_of_the_pod_replace_the_sum(self) -> None:
        asked = pod_requests(
            spec([container(cpu="1", memory="1Gi")], resources={"requests": {"cpu": "2"}}, overhead={"cpu": "250m"})
        )

        assert asked == Amounts(2250, 1024 * MIB, 0, 1)

    @given(
        st.lists(st.integers(0, 5000), max_size=4),
        st.lists(st.tuples(st.integers(0, 5000), st.booleans()), max_size=5),
    )
    def test_agrees_with_the_rules_step_by_step(self, containers: list[int], init: list[tuple[int, bool]]) -> None:
        moments = [sum(containers) + sum(cpu for cpu, always in init if always)]
        for position, (cpu, _) in enumerate(init):
            moments.append(cpu + sum(other for other, always in init[:position] if always))

        asked = pod_requests(
            spec(
                [container(cpu=f"{cpu}m") for cpu in containers],
                init=[container(cpu=f"{cpu}m", always=always) for cpu, always in init],
            )
        )

        assert asked.cpu_millicores == max(moments)


class TestNodes:
    def test_report_what_they_have_for_pods(self) -> None:
        reported = {"cpu": "3920m", "memory": "15052204Ki", "ephemeral-storage": "18242267924", "pods": "58"}
        node = msgspec.convert({"metadata": {"name": "n"}, "status": {"allocatable": reported}}, type=Node)

        assert allocatable(node) == Amounts(3920, 15052204 * 1024, 18242267924, 58)

    def test_report_nothing(self) -> None:
        assert allocatable(msgspec.convert({"metadata": {"name": "n"}}, type=Node)) == NOTHING

    def test_carry_the_pods_that_are_not_finished(self) -> None:
        loads = load_of_nodes(
            [
                pod("a"),
                pod("a", phase="Pending"),
                pod("a", phase="Succeeded"),
                pod("a", phase="Failed"),
                pod(None),
                pod("b", owner="DaemonSet", cpu="100m"),
                pod("b", owner="Node", cpu="200m"),
                pod("b", owner="ReplicaSet", cpu="1"),
            ]
        )

        assert loads == {
            "a": NodeLoad(Amounts(2000, 0, 0, 2)),
            "b": NodeLoad(Amounts(1300, 0, 0, 3), Amounts(300, 0, 0, 2)),
        }


AMOUNTS = st.builds(Amounts, *[st.integers(0, 10**15)] * 4)


@given(AMOUNTS, AMOUNTS)
def test_arithmetic(one: Amounts, other: Amounts) -> None:
    assert (one + other) - other == one
    assert (one + other).holds(one)
    assert one.or_more(other).holds(other)
    assert one.holds(other) == (one.or_more(other) == one)


def test_quantities_are_parsed_once() -> None:
    pods = [pod("n", cpu="123456789m") for _ in range(1000)]
    load_of_nodes(pods[:1])
    before = parse_quantity.cache_info()

    load_of_nodes(pods)

    assert parse_quantity.cache_info() == before
