"""Spark applications: both operators' kinds answer the same questions."""

from typing import Any

import msgspec
import pytest

from auditor.facts.kube.spark import AnySparkApplication, ApacheSparkApplication, SparkApplication, flag, number

CONF_ACCOUNT = "spark.kubernetes.authenticate.driver.serviceAccountName"


def kubeflow(*, status: dict[str, Any] | None = None, **spec: Any) -> SparkApplication:
    given = {"metadata": {"name": "etl", "namespace": "jobs"}, "spec": spec, "status": status or {}}
    return msgspec.json.decode(msgspec.json.encode(given), type=SparkApplication)


def apache(*, status: dict[str, Any] | None = None, **spec: Any) -> ApacheSparkApplication:
    given = {"metadata": {"name": "etl", "namespace": "jobs"}, "spec": spec, "status": status or {}}
    return msgspec.json.decode(msgspec.json.encode(given), type=ApacheSparkApplication)


def template(**spec: Any) -> dict[str, Any]:
    return {"spec": spec}


@pytest.mark.parametrize(
    ("app", "account"),
    [
        (kubeflow(), "default"),
        (kubeflow(driver={"serviceAccount": "spark"}, sparkConf={CONF_ACCOUNT: "other"}), "spark"),
        (kubeflow(sparkConf={CONF_ACCOUNT: "spark"}), "spark"),
        (kubeflow(driver={"template": template(serviceAccountName="spark")}), "spark"),
        (apache(), "default"),
        (apache(sparkConf={CONF_ACCOUNT: "spark"}), "spark"),
        (apache(driverSpec={"podTemplateSpec": template(serviceAccountName="spark")}), "spark"),
    ],
)
def test_the_account_of_the_driver(app: AnySparkApplication, account: str) -> None:
    assert app.driver_account == account


@pytest.mark.parametrize(
    ("app", "scheduler"),
    [
        (kubeflow(), None),
        (kubeflow(batchScheduler="volcano"), "volcano"),
        (kubeflow(executor={"schedulerName": "yunikorn"}), "yunikorn"),
        (apache(), None),
        (apache(sparkConf={"spark.kubernetes.scheduler.name": "volcano"}), "volcano"),
        (apache(executorSpec={"podTemplateSpec": template(schedulerName="yunikorn")}), "yunikorn"),
    ],
)
def test_the_scheduler(app: AnySparkApplication, scheduler: str | None) -> None:
    assert app.scheduler == scheduler


@pytest.mark.parametrize(
    ("app", "executors"),
    [
        (kubeflow(), 1),
        (kubeflow(executor={"instances": 7}), 7),
        (kubeflow(sparkConf={"spark.executor.instances": "4"}), 4),
        (kubeflow(dynamicAllocation={"enabled": True, "maxExecutors": 9}, executor={"instances": 7}), 9),
        (kubeflow(dynamicAllocation={"enabled": True}), None),
        (apache(), 2),
        (apache(sparkConf={"spark.executor.instances": "4"}), 4),
        (apache(sparkConf={"spark.dynamicAllocation.enabled": "true"}), None),
        (
            apache(
                sparkConf={"spark.dynamicAllocation.enabled": "true", "spark.dynamicAllocation.maxExecutors": "3"},
            ),
            3,
        ),
    ],
)
def test_the_most_executors_at_once(app: AnySparkApplication, executors: int | None) -> None:
    assert app.executors == executors


def test_the_nodes_of_executors_come_from_everywhere() -> None:
    conf = {"spark.kubernetes.node.selector.arch": "amd64", "spark.kubernetes.executor.node.selector.pool": "a"}
    by_template = {"nodeSelector": {"zone": "z"}}

    own = kubeflow(
        sparkConf=conf,
        nodeSelector={"disk": "ssd"},
        executor={"nodeSelector": {"pool": "b"}, "template": template(**by_template)},
    )
    other = apache(sparkConf=conf, executorSpec={"podTemplateSpec": template(**by_template)})

    assert own.executor_nodes == {"arch": "amd64", "pool": "b", "zone": "z", "disk": "ssd"}
    assert other.executor_nodes == {"arch": "amd64", "pool": "a", "zone": "z"}


@pytest.mark.parametrize("memory", ["8Gi", 8589934592, 1.5e9])
def test_quantities_of_templates_are_kept_as_they_were_written(memory: str | float) -> None:
    containers = [{"name": "executor", "resources": {"requests": {"memory": memory, "cpu": 2}}}, {"name": "sidecar"}]

    [resources] = kubeflow(executor={"template": template(containers=containers)}).executor_requests

    assert resources.requests == {"memory": memory, "cpu": 2}


def test_only_mounted_volumes_for_shuffles_count() -> None:
    volumes = [
        {"name": "spark-local-dir-1", "emptyDir": {"sizeLimit": "10Gi"}},
        {"name": "spark-local-dir-2", "hostPath": {"path": "/mnt"}},
        {"name": "config", "configMap": {"name": "conf"}},
    ]
    mounts = [{"name": "spark-local-dir-1", "mountPath": "/a"}, {"name": "config", "mountPath": "/b"}]

    [volume] = kubeflow(volumes=volumes, executor={"volumeMounts": mounts}).local_volumes

    assert volume.name == "spark-local-dir-1"


@pytest.mark.parametrize(
    ("app", "seen", "finished"),
    [
        (kubeflow(), False, False),
        (kubeflow(status={"applicationState": {"state": ""}}), False, False),
        (kubeflow(status={"applicationState": {"state": "RUNNING"}}), True, False),
        (kubeflow(status={"applicationState": {"state": "COMPLETED"}}), True, True),
        (kubeflow(status={"applicationState": {"state": "FAILED", "errorMessage": "no"}}), True, True),
        (apache(), False, False),
        (apache(status={"currentState": {"currentStateSummary": "RunningHealthy"}}), True, False),
        (apache(status={"currentState": {"currentStateSummary": "ResourceReleased"}}), True, True),
    ],
)
def test_what_became_of_it(app: AnySparkApplication, *, seen: bool, finished: bool) -> None:
    assert (app.is_seen, app.is_finished) == (seen, finished)


@pytest.mark.parametrize(
    ("app", "dynamic", "tracks"),
    [
        (kubeflow(), False, None),
        (kubeflow(dynamicAllocation={"enabled": False}), False, None),
        (kubeflow(dynamicAllocation={"enabled": True}), True, True),
        (kubeflow(dynamicAllocation={"enabled": True, "shuffleTrackingEnabled": False}), True, False),
        (kubeflow(sparkConf={"spark.dynamicAllocation.enabled": "TRUE"}), True, None),
        (apache(sparkConf={"spark.dynamicAllocation.enabled": "true"}), True, None),
        (apache(sparkConf={"spark.dynamicAllocation.shuffleTracking.enabled": "false"}), False, False),
    ],
)
def test_dynamic_allocation(app: AnySparkApplication, *, dynamic: bool, tracks: bool | None) -> None:
    assert app.has_dynamic_allocation is dynamic
    assert app.tracks_shuffles is tracks


@pytest.mark.parametrize(("text", "value"), [("true", True), (" True ", True), ("false", False), ("yes", False)])
def test_flags(text: str, *, value: bool) -> None:
    assert flag({"key": text}, "key") is value
    assert flag({}, "key") is None


@pytest.mark.parametrize(("text", "value"), [("3", 3), (" 3 ", 3), ("3g", None), ("", None), ("-1", None)])
def test_numbers(text: str, value: int | None) -> None:
    assert number({"key": text}, "key") == value
    assert number({}, "key") is None
