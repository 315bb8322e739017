"""Waiting for an agent: its observations, or the cause and never only that time ran out."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from auditor.cluster import Manifest, ObjectError, Objects, RequestError
from auditor.facts.parts import Api
from auditor.sandbox import Sandbox, SandboxSettings, Trouble, TroubleError, agent_pods
from auditor.sandbox.agent.framing import frames
from auditor.sandbox.space import StoppedError

WHOLE = "".join([*frames(0, {"result": {"a": 1}}), *frames(1, {"end": 1})])
NO_SECONDS = SandboxSettings(patience_seconds=0)


class FakeObjects:
    """Pods that are what a test says they are; each look at one gets the next status."""

    def __init__(self, statuses: Sequence[Mapping[str, Any] | None], log: str | ObjectError = WHOLE) -> None:
        self.statuses = list(statuses)
        self.log_text = log
        self.created: list[str] = []
        self.deleted: list[str] = []
        self.refuse: dict[str, ObjectError] = {}
        self.events: list[Manifest] = []

    def create(self, _api: Api, manifest: Manifest, **_options: object) -> Manifest:
        name = manifest["metadata"]["name"]
        if name in self.refuse:
            raise self.refuse[name]
        self.created.append(name)
        return manifest

    def get(self, _api: Api, name: str, **_options: object) -> Manifest | None:
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return None if status is None else {"kind": "Pod", "metadata": {"name": name}, "status": status}

    def list(self, _api: Api, **_selectors: object) -> list[Manifest]:
        return self.events

    def delete(self, _api: Api, name: str, **_options: object) -> bool:
        self.deleted.append(name)
        return True

    def log(self, _api: Api, _pod: str, **_options: object) -> str:
        if isinstance(self.log_text, ObjectError):
            raise self.log_text
        return self.log_text


def sandbox_of(objects: FakeObjects, settings: SandboxSettings = NO_SECONDS, **more: Any) -> Sandbox:
    return Sandbox(
        cast("Objects", objects), settings, run_id="0123456789", expires_at=datetime(2026, 1, 1, tzinfo=UTC), **more
    )


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return {"phase": "Pending", "conditions": [], "containerStatuses": [{"name": "agent", "state": state}]}


def ended(phase: str, exit_code: int, reason: str = "Error") -> dict[str, Any]:
    state = {"terminated": {"exitCode": exit_code, "reason": reason}}
    return {"phase": phase, "containerStatuses": [{"name": "agent", "state": state}]}


def refusal(status: int, reason: str, *, verb: str = "create", resource: str = "pods") -> ObjectError:
    return ObjectError(RequestError(status, reason), verb=verb, resource=resource, namespace="s", name="a")


SUCCEEDED = ended("Succeeded", 0, "Completed")
RUNNING = {"phase": "Running", "containerStatuses": [{"name": "agent", "state": {"running": {}}}]}


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(agent_pods, "_LOG_SECONDS", 0.0)
    return iter(())


def trouble_of(wait: Callable[[], object]) -> Trouble:
    with pytest.raises(TroubleError) as raised:
        wait()
    return raised.value.trouble


def test_observations_come_from_the_log_of_a_pod_that_has_ended() -> None:
    objects = FakeObjects([waiting("ContainerCreating"), RUNNING, RUNNING, SUCCEEDED])

    found = agent_pods.finished(sandbox_of(objects, SandboxSettings()), "a", seconds=5)

    assert found == [{"a": 1}]


def test_the_patience_of_the_site_is_for_the_start_and_the_seconds_for_the_task() -> None:
    slow_start = trouble_of(
        lambda: agent_pods.finished(sandbox_of(FakeObjects([waiting("ContainerCreating")])), "a", seconds=99)
    )
    slow_task = trouble_of(lambda: agent_pods.finished(sandbox_of(FakeObjects([RUNNING])), "a", seconds=0))

    assert slow_start.message.startswith("pod a starts: not within 0 s")
    assert slow_task.message.startswith("the task of pod a ends: not within 0 s")


@pytest.mark.parametrize("reason", ["ErrImageNeverPull", "ImagePullBackOff", "InvalidImageName"])
def test_an_image_that_cannot_be_had_is_not_waited_for(reason: str) -> None:
    objects = FakeObjects([waiting(reason, "no such image")])

    trouble = trouble_of(lambda: agent_pods.finished(sandbox_of(objects, SandboxSettings()), "a", seconds=99))

    assert trouble.reason == "ImagePull"
    assert "no such image" in trouble.message
    assert trouble.seconds < 1


def test_a_task_that_failed_is_quoted() -> None:
    log = "warning\n" + "".join(frames(0, {"error": "OSError: no disk"}))

    trouble = trouble_of(
        lambda: agent_pods.finished(sandbox_of(FakeObjects([ended("Failed", 1)], log)), "a", seconds=1)
    )

    assert (trouble.reason, trouble.message) == ("Crashed", "the task of pod a failed: OSError: no disk")
    assert trouble.log_tail == ("warning",)


def test_a_container_that_was_killed_is_told_by_its_status() -> None:
    objects = FakeObjects([ended("Failed", 137, "OOMKilled")], "".join(frames(0, {"result": {}})))

    trouble = trouble_of(lambda: agent_pods.finished(sandbox_of(objects), "a", seconds=1))

    assert trouble.reason == "Crashed"
    assert "OOMKilled" in trouble.message


def test_a_log_that_lost_observations_counts_as_none() -> None:
    objects = FakeObjects([SUCCEEDED], "".join(frames(1, {"end": 2})))

    trouble = trouble_of(lambda: agent_pods.finished(sandbox_of(objects), "a", seconds=1))

    assert trouble.reason == "Log"
    assert "0 of 2 observations" in trouble.message


def test_a_pod_that_somebody_removed_is_missing() -> None:
    trouble = trouble_of(lambda: agent_pods.finished(sandbox_of(FakeObjects([None])), "a", seconds=1))

    assert trouble.reason == "Missing"


def test_a_log_that_the_kubelet_does_not_give_is_trouble_and_one_that_may_not_be_read_is_not() -> None:
    lost = refusal(500, "dial tcp 10.0.0.1:10250: i/o timeout", verb="get", resource="pods/log")
    barred = refusal(403, 'User "u" cannot get resource "pods/log"', verb="get", resource="pods/log")

    trouble = trouble_of(lambda: agent_pods.finished(sandbox_of(FakeObjects([SUCCEEDED], lost)), "a", seconds=1))

    assert trouble.reason == "Log"
    assert "i/o timeout" in trouble.message
    with pytest.raises(ObjectError) as raised:
        agent_pods.finished(sandbox_of(FakeObjects([SUCCEEDED], barred)), "a", seconds=1)
    assert raised.value.missing_permission == "get pods/log in namespace s"


class TestRun:
    def test_removes_the_pod_whatever_happens(self) -> None:
        good, bad = FakeObjects([SUCCEEDED]), FakeObjects([ended("Failed", 1)], "")

        agent_pods.run(sandbox_of(good), manifest("a"), seconds=1)
        trouble_of(lambda: agent_pods.run(sandbox_of(bad), manifest("a"), seconds=1))

        assert good.deleted == bad.deleted == ["a"]

    def test_of_several_tells_each_its_own(self) -> None:
        objects = FakeObjects([SUCCEEDED])
        objects.refuse["b"] = refusal(403, 'pods "b" is forbidden: exceeded quota: q')

        found = agent_pods.run_all(sandbox_of(objects), [manifest("a"), manifest("b")], seconds=1)

        assert found["a"] == [{"a": 1}]
        assert isinstance(found["b"], Trouble)
        assert (found["b"].reason, "exceeded quota" in found["b"].message) == ("Quota", True)

    def test_of_several_ends_with_a_permission_that_lacks(self) -> None:
        objects = FakeObjects([SUCCEEDED])
        objects.refuse["b"] = refusal(403, 'User "u" cannot create resource "pods"')

        with pytest.raises(ObjectError):
            agent_pods.run_all(sandbox_of(objects), [manifest("a"), manifest("b")], seconds=1)

    def test_ends_with_the_run(self) -> None:
        stop = threading.Event()
        stop.set()

        with pytest.raises(StoppedError):
            agent_pods.run_all(sandbox_of(FakeObjects([RUNNING]), stop=stop), [manifest("a")], seconds=1)


def manifest(name: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}}
