"""Do the names of applications fit into the names and labels that are made of them?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor import Facts, Finding, Severity, Workload, check, if_served
from auditor.facts.kube import Deployment
from auditor.facts.kube.meta import KubeObject
from auditor.facts.kube.spark import ScheduledSparkApplication

from ..._wording import counted, examples, full_name, full_names
from ._applications import APPLICATIONS, applications, described, nothing_to_judge
from ._operators import operators

LABEL_LENGTH = 63
"""What the API allows for the value of a label, in characters."""

_TIME_DIGITS = {"nanos": 19, "micros": 16, "millis": 13, "seconds": 10, "minutes": 8}
"""The digits of the time that a ScheduledSparkApplication's runs get behind their name, by the operator's precision."""


@check(
    "spark.name-lengths",
    title="Names of Spark applications fit into the labels of their pods",
    severity=Severity.MEDIUM,
    workloads=(Workload.SPARK,),
    reads=(*APPLICATIONS, if_served(ScheduledSparkApplication), Deployment),
    aliases=("SPK-003",),
)
def name_lengths(facts: Facts) -> Iterator[Finding]:
    """An application's name becomes the value of a label on each of its pods.

    ## What it checks
    - The name of every SparkApplication has at most 63 characters. The operators of Kubeflow and of Apache set it as a
      label on driver and executors, and a label's value may not be longer.
    - The name of every ScheduledSparkApplication leaves room for the time of a run. Kubeflow's operator puts a hyphen
      and the time in nanoseconds (19 digits) behind it, so that 43 characters are left; its option
      `--scheduled-spark-application-timestamp-precision` makes the time shorter.

    Names of custom resources may have up to 253 characters, so the API server accepts what cannot run.

    ## Why it matters
    The application is accepted and never starts: the API server refuses its driver with "must be no more than 63
    characters". Names that are put together from a team, a pipeline and a date get there sooner than one thinks.

    ## How to fix
    Give the application a shorter name and put the long one into a label's annotation or `spark.app.name`, which Spark
    itself shortens. For scheduled applications, set `controller.scheduledSparkApplicationTimestampPrecision: seconds`
    in the chart's values if the name cannot be changed.

    ## References
    - [Label values](https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set)
    - [Resource creation can fail if the application name is over 63 characters](https://github.com/kubeflow/spark-operator/issues/2509)
    - [Job is not submitted if the name exceeds 43 characters](https://github.com/kubeflow/spark-operator/issues/459)
    - [Long names of scheduled applications](https://github.com/kubeflow/spark-operator/issues/1549)
    """
    apps = applications(facts)
    scheduled = sorted(facts.list(ScheduledSparkApplication), key=full_name)
    if long_apps := [app for app in apps if len(app.name) > LABEL_LENGTH]:
        yield Finding.fail(
            f"{described(long_apps)}: the name has up to {_longest(long_apps)} characters, at most {LABEL_LENGTH} were "
            "expected: it becomes a label of each pod, and the API server refuses the driver.",
            subjects=[app.subject for app in long_apps],
            fix=f"Give the application a name of at most {LABEL_LENGTH} characters; spark.app.name may be longer.",
            evidence=examples({full_name(app): len(app.name) for app in long_apps}),
        )
    room = LABEL_LENGTH - 1 - _time_digits(facts) if scheduled else LABEL_LENGTH
    if long_schedules := [each for each in scheduled if len(each.name) > room]:
        yield _too_long_for_its_runs(long_schedules, room)
    fitting = len(apps) + len(scheduled) - len(long_apps) - len(long_schedules)
    if fitting:
        yield Finding.ok(f"The names of {counted(fitting, 'Spark application')} fit into the labels made of them.")
    if not apps and not scheduled:
        yield nothing_to_judge("SparkApplication")


def _longest(objects: Sequence[KubeObject]) -> int:
    return max(len(each.name) for each in objects)


def _time_digits(facts: Facts) -> int:
    """The digits behind the names of runs; the fewest where several operators differ."""
    given = (each.option("scheduled-spark-application-timestamp-precision") or "nanos" for each in operators(facts))
    return min((_TIME_DIGITS.get(precision, 0) for precision in given), default=_TIME_DIGITS["nanos"])


def _too_long_for_its_runs(schedules: Sequence[ScheduledSparkApplication], room: int) -> Finding:
    return Finding.fail(
        f"{counted(len(schedules), 'ScheduledSparkApplication')} ({full_names(schedules)}) with a name of up to "
        f"{_longest(schedules)} characters, at most {room} were expected: the operator puts the time of each run "
        f"behind it, and the label of {LABEL_LENGTH} characters overflows.",
        subjects=[each.subject for each in schedules],
        fix=f"Give it a name of at most {room} characters, or let the operator write times in seconds.",
        evidence=examples({full_name(each): len(each.name) for each in schedules}),
    )
