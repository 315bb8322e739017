"""Facts: look-ups, and the refusal to answer for what was not read."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.facts.kube import ConfigMap, LabelSelector, Node, Pod, StatefulSet, StorageClass
from auditor.facts.parts import (
    OK,
    Document,
    PartState,
    PartStatus,
    UndeclaredReadError,
    UnreadableError,
    if_served,
    named,
    part_of,
    raw,
)
from auditor.facts.store import Facts, PartFacts, PartKey
from auditor.model import Subject


def pod(name: str, namespace: str = "default", owner: str | None = None, **labels: str) -> Pod:
    owners = [{"kind": "StatefulSet", "name": owner}] if owner else []
    metadata = {"name": name, "namespace": namespace, "labels": labels, "ownerReferences": owners}
    return msgspec.convert({"metadata": metadata}, Pod)


PODS = (
    pod("kafka-0", "data", owner="kafka", app="kafka", tier="log"),
    pod("kafka-1", "data", owner="kafka", app="kafka"),
    pod("kafka-0", "other", owner="kafka", app="kafka"),
    pod("web", "data", app="web"),
    pod("bare"),
)


@pytest.fixture
def facts() -> Facts:
    return Facts({("core/pods", None): PartFacts(OK, PODS)})


def test_list_keeps_the_order(facts: Facts) -> None:
    assert facts.list(Pod) == PODS


def test_get_by_name_and_namespace(facts: Facts) -> None:
    assert facts.get(Pod, "kafka-0", namespace="other") is PODS[2]
    assert facts.get(Pod, "kafka-0") is None


def test_in_namespace(facts: Facts) -> None:
    assert list(facts.in_namespace(Pod, "data")) == [PODS[0], PODS[1], PODS[3]]
    assert list(facts.in_namespace(Pod, "nowhere")) == []


def test_labelled(facts: Facts) -> None:
    assert list(facts.labelled(Pod, "app", "kafka")) == list(PODS[:3])
    assert list(facts.labelled(Pod, "app", "nothing")) == []


def test_owned_by_looks_at_the_namespace_too(facts: Facts) -> None:
    owner = msgspec.convert({"metadata": {"name": "kafka", "namespace": "data"}}, StatefulSet)

    assert list(facts.owned_by(Pod, owner)) == [PODS[0], PODS[1]]


LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"), max_size=3)
REQUIREMENTS = st.fixed_dictionaries(
    {
        "key": st.sampled_from("abc"),
        "operator": st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"]),
        "values": st.lists(st.sampled_from("xyz"), max_size=2),
    }
)
SELECTORS = st.fixed_dictionaries({"matchLabels": LABELS, "matchExpressions": st.lists(REQUIREMENTS, max_size=2)})


@given(st.lists(st.tuples(st.sampled_from(["n1", "n2"]), LABELS), max_size=8), SELECTORS)
def test_selected_is_what_the_selector_matches(cluster: list[tuple[str, dict[str, str]]], selector: object) -> None:
    pods = [pod(f"p{number}", namespace, **labels) for number, (namespace, labels) in enumerate(cluster)]
    facts = Facts({("core/pods", None): PartFacts(OK, pods)})
    wanted = msgspec.convert(selector, LabelSelector)

    selected = facts.selected(Pod, wanted, namespace="n1")

    assert list(selected) == [p for p in pods if p.namespace == "n1" and wanted.matches(p.labels)]


@pytest.mark.parametrize(
    ("requirement", "labels", "matches"),
    [
        ({"key": "a", "operator": "In", "values": ["x"]}, {"a": "x"}, True),
        ({"key": "a", "operator": "In", "values": ["x"]}, {}, False),
        ({"key": "a", "operator": "NotIn", "values": ["x"]}, {}, True),
        ({"key": "a", "operator": "NotIn", "values": ["x"]}, {"a": "x"}, False),
        ({"key": "a", "operator": "Exists"}, {"a": ""}, True),
        ({"key": "a", "operator": "DoesNotExist"}, {"a": ""}, False),
        ({"key": "a", "operator": "Gt", "values": ["1"]}, {"a": "2"}, False),
    ],
)
def test_requirements(requirement: object, labels: dict[str, str], *, matches: bool) -> None:
    selector = msgspec.convert({"matchExpressions": [requirement]}, LabelSelector)

    assert selector.matches(labels) is matches


NOT_READ = [state for state in PartState if state is not PartState.OK]
READS: list[Callable[[Facts], object]] = [
    lambda facts: facts.list(Pod),
    lambda facts: facts.get(Pod, "x"),
    lambda facts: facts.in_namespace(Pod, "x"),
    lambda facts: facts.labelled(Pod, "x", "y"),
]


@pytest.mark.parametrize("state", NOT_READ)
@pytest.mark.parametrize("read", READS)
def test_what_was_not_read_is_never_an_empty_answer(state: PartState, read: Callable[[Facts], object]) -> None:
    facts = Facts({("core/pods", None): PartFacts(PartStatus(state=state, reason="because"))})

    with pytest.raises(UnreadableError, match=rf"core/pods: {state} \(because\)"):
        read(facts)


def test_a_part_that_the_bundle_lacks_is_missing() -> None:
    assert Facts({}).status(Pod).state is PartState.MISSING


def test_an_absent_part_is_empty_only_if_the_check_says_so() -> None:
    absent: dict[PartKey, PartFacts] = {("core/pods", None): PartFacts(PartStatus(state=PartState.ABSENT))}

    optional = Facts(absent).restricted_to([if_served(Pod)])

    assert list(optional.list(Pod)) == []
    assert optional.served(Pod) is False
    with pytest.raises(UnreadableError):
        Facts(absent).restricted_to([Pod]).list(Pod)


@pytest.mark.parametrize("state", [PartState.FORBIDDEN, PartState.FAILED, PartState.MISSING])
def test_whether_a_part_is_served_cannot_be_told_when_it_was_not_read(state: PartState) -> None:
    facts = Facts({("core/pods", None): PartFacts(PartStatus(state=state))}).restricted_to([if_served(Pod)])

    with pytest.raises(UnreadableError):
        facts.served(Pod)


def test_a_check_reads_only_what_it_declares(facts: Facts) -> None:
    view = facts.restricted_to([Node])

    with pytest.raises(UndeclaredReadError, match=r"core/pods is read but not declared"):
        view.list(Pod)


def test_a_named_object_is_a_part_of_its_own() -> None:
    corefile = msgspec.convert({"metadata": {"name": "coredns", "namespace": "kube-system"}}, ConfigMap)
    part = named(ConfigMap, "coredns", namespace="kube-system")
    facts = Facts({part.key: PartFacts(OK, (corefile,))}).restricted_to([part])

    assert facts.get_named(ConfigMap, "coredns", namespace="kube-system") is corefile
    with pytest.raises(UndeclaredReadError):
        facts.list(ConfigMap)


class Latency(Document, frozen=True, kw_only=True):
    part_id = "observations/api.json"
    p99_seconds: float


def test_documents_and_raw_text() -> None:
    facts = Facts(
        {
            part_of(Latency).key: PartFacts(OK, Latency(p99_seconds=0.2)),
            raw("readyz.txt").key: PartFacts(OK, "ok"),
        }
    )

    assert facts.document(Latency) == Latency(p99_seconds=0.2)
    assert facts.text("readyz.txt") == "ok"


def test_counts_only_what_was_read_whole(facts: Facts) -> None:
    assert facts.counts() == {"core/pods": 5}


def test_views_ignore_unknown_fields_and_know_their_subject() -> None:
    document = b'{"metadata": {"name": "fast", "uid": "1"}, "provisioner": "p", "newField": {"deep": [1]}}'

    fast = msgspec.json.decode(document, type=StorageClass)

    assert fast.subject == Subject(kind="StorageClass", name="fast")
    assert str(PODS[0].subject) == "Pod data/kafka-0"
