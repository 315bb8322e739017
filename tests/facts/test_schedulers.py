"""Configurations of schedulers and of Kueue, as their charts write them and as people break them."""

from collections.abc import Callable

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from auditor.facts.schedulers import (
    DEFAULT_PLUGINS,
    SchedulerProfile,
    parse_kueue_configuration,
    parse_scheduler_configuration,
    parse_volcano_configuration,
    parse_yunikorn_queues,
)

PARSERS: list[Callable[[str], object]] = [
    parse_scheduler_configuration,
    parse_kueue_configuration,
    parse_volcano_configuration,
    parse_yunikorn_queues,
]

SECOND_SCHEDULER = """
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
leaderElection:
  leaderElect: false
profiles:
- schedulerName: scheduler-plugins-scheduler
  plugins:
    multiPoint:
      enabled:
      - name: Coscheduling
      - name: CapacityScheduling
      disabled:
      - name: PrioritySort
    score:
      disabled:
      - name: PodTopologySpread
    bind:
  pluginConfig:
  - name: Coscheduling
    args:
      permitWaitingTimeSeconds: 10
  - name: NodeResourcesFit
    args:
      scoringStrategy:
        type: MostAllocated
        resources:
        - name: cpu
          weight: 1
  - name: PodTopologySpread
    args:
      defaultingType: List
      defaultConstraints:
      - maxSkew: 1
        topologyKey: topology.kubernetes.io/zone
        whenUnsatisfiable: ScheduleAnyway
  - name: DefaultBinder
"""

YUNIKORN = """
partitions:
- name: default
  placementrules:
  - {name: tag, value: namespace, create: true}
  queues:
  - name: root
    submitacl: '*'
    properties: {application.sort.policy: fair, priority.offset: 5}
    queues:
    - name: jobs
      properties: {application.sort.policy: FIFO}
    - name: adhoc
- name: gpu
  queues:
  - name: root
"""


def profile(text: str) -> SchedulerProfile:
    [found] = parse_scheduler_configuration(
        f"apiVersion: kubescheduler.config.k8s.io/v1\nprofiles:\n- plugins:\n{text}"
    ).all_profiles
    return found


class TestSchedulerConfiguration:
    def test_as_the_chart_writes_it(self) -> None:
        [found] = parse_scheduler_configuration(SECOND_SCHEDULER).all_profiles

        assert found.scheduler_name == "scheduler-plugins-scheduler"
        assert found.enables("Coscheduling")
        assert found.runs("Coscheduling", "permit")
        assert not found.runs("PrioritySort", "queueSort")
        assert found.runs("PodTopologySpread", "filter")
        assert not found.runs("PodTopologySpread", "score")
        assert found.runs("DefaultBinder", "bind")

    def test_arguments(self) -> None:
        [found] = parse_scheduler_configuration(SECOND_SCHEDULER).all_profiles

        assert found.arguments("NodeResourcesFit")["scoringStrategy"]["type"] == "MostAllocated"
        assert found.arguments("PodTopologySpread")["defaultConstraints"][0]["maxSkew"] == 1
        assert found.arguments("DefaultBinder") == {}
        assert found.arguments("VolumeBinding") == {}

    @pytest.mark.parametrize("profiles", ["", "profiles:", "profiles: []"])
    def test_without_profiles_there_is_the_default_one(self, profiles: str) -> None:
        [found] = parse_scheduler_configuration(f"apiVersion: kubescheduler.config.k8s.io/v1\n{profiles}").all_profiles

        assert found.scheduler_name == "default-scheduler"
        assert all(found.runs(plugin, "filter") for plugin in DEFAULT_PLUGINS)
        assert not found.enables("VolumeBinding")

    def test_a_point_wins_over_all_points(self) -> None:
        found = profile(
            "    multiPoint: {enabled: [{name: Own}], disabled: [{name: VolumeBinding}]}\n"
            "    filter: {enabled: [{name: VolumeBinding}], disabled: [{name: Own}]}\n"
        )

        assert found.runs("VolumeBinding", "filter")
        assert not found.runs("VolumeBinding", "reserve")
        assert found.runs("Own", "score")
        assert not found.runs("Own", "filter")

    def test_all_may_be_switched_off_and_some_on_again(self) -> None:
        found = profile("    multiPoint: {disabled: [{name: '*'}], enabled: [{name: VolumeBinding}]}\n")

        assert found.runs("VolumeBinding", "filter")
        assert not found.runs("NodeResourcesFit", "filter")

    @given(st.sampled_from(sorted(DEFAULT_PLUGINS)), st.sampled_from(["filter", "score", "reserve", "permit"]))
    def test_what_is_not_named_runs_as_by_default(self, plugin: str, point: str) -> None:
        assert profile(f"    {point}: {{disabled: [{{name: Other}}]}}\n").runs(plugin, point)
        assert not profile(f"    {point}: {{disabled: [{{name: {plugin}}}]}}\n").runs(plugin, point)
        assert not profile("    multiPoint: {disabled: [{name: '*'}]}\n").runs(plugin, point)

    def test_another_api_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"kubescheduler\.config\.k8s\.io"):
            parse_scheduler_configuration("apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration")


class TestVolcano:
    def test_plugins_of_all_tiers(self) -> None:
        found = parse_volcano_configuration(
            'actions: "enqueue, allocate"\n'
            "tiers:\n- plugins: [{name: priority}, {name: gang, enablePreemptable: false}]\n- plugins:\n  - name: drf\n"
        )

        assert found.plugins == {"priority", "gang", "drf"}

    def test_tiers_may_be_empty(self) -> None:
        assert parse_volcano_configuration("tiers:\n- plugins:\n").plugins == frozenset()

    def test_without_tiers_it_is_something_else(self) -> None:
        with pytest.raises(ValueError, match="no tiers"):
            parse_volcano_configuration("actions: allocate")


class TestKueue:
    @pytest.mark.parametrize(
        ("version", "setting", "waits"),
        [
            ("v1beta1", "", False),
            ("v1beta1", "waitForPodsReady: {timeout: 5m}", False),
            ("v1beta1", "waitForPodsReady: {enable: false}", False),
            ("v1beta1", "waitForPodsReady: {enable: true, blockAdmission: true}", True),
            ("v1beta2", "", False),
            ("v1beta2", "waitForPodsReady:", False),
            ("v1beta2", "waitForPodsReady: {timeout: 5m}", True),
            ("v1beta2", "waitForPodsReady: {enable: false}", False),
        ],
    )
    def test_waiting_for_pods(self, version: str, setting: str, *, waits: bool) -> None:
        found = parse_kueue_configuration(f"apiVersion: config.kueue.x-k8s.io/{version}\n{setting}")

        assert found.waits_for_pods_ready is waits

    def test_another_api_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"config\.kueue\.x-k8s\.io"):
            parse_kueue_configuration("apiVersion: v1\nkind: ConfigMap")


class TestYuniKorn:
    def test_leaf_queues_inherit_their_policy(self) -> None:
        assert parse_yunikorn_queues(YUNIKORN).sort_policies() == {
            "root.jobs": "fifo",
            "root.adhoc": "fair",
            "gpu/root": "fifo",
        }

    def test_without_partitions_there_are_no_queues(self) -> None:
        assert parse_yunikorn_queues("{}").sort_policies() == {}


class TestWhatIsNone:
    @pytest.mark.parametrize("parse", PARSERS)
    @pytest.mark.parametrize(
        "text",
        [
            "",
            "[]",
            "a: [",
            "\x00",
            "a: !!python/object:x 1",
            "when: 2001-99-99",
            "a: &x [1]\nb: *x",
            "[" * 5000,
            "? [a]\n: b",
        ],
    )
    def test_is_refused_as_a_value_error(self, parse: Callable[[str], object], text: str) -> None:
        with pytest.raises(ValueError, match=r"\w"):
            parse(text)

    @given(st.sampled_from(PARSERS), st.text(max_size=200))
    def test_any_text_is_parsed_or_refused(self, parse: Callable[[str], object], text: str) -> None:
        try:
            parse(text)
        except ValueError:
            return

    @given(
        st.sampled_from(PARSERS),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["apiVersion", "profiles", "plugins", "tiers", "partitions", "queues", "name", "filter"]
                    ),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=20,
        ),
    )
    def test_any_document_is_parsed_or_refused(self, parse: Callable[[str], object], document: object) -> None:
        try:
            parse(yaml.safe_dump(document))
        except ValueError:
            return
