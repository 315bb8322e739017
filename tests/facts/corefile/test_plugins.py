"""What the settings of plugins come to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.facts.corefile import CorefileError, ServerBlock, parse_corefile
from auditor.facts.corefile.plugins import (
    CachePlugin,
    KubernetesPlugin,
    cluster_domain,
    lameduck_seconds,
    parse_selector,
    read_cache,
    read_kubernetes,
)


def block_with(plugin: str, head: str = ".:53") -> ServerBlock:
    return parse_corefile(f"{head} {{\n{plugin}\n}}\n").blocks[0]


def kubernetes(text: str, head: str = ".:53") -> KubernetesPlugin:
    block = block_with(text, head)
    return read_kubernetes(block, block.directives[0])


def cache(text: str, head: str = ".:53") -> CachePlugin:
    block = block_with(text, head)
    return read_cache(block, block.directives[0])


class TestKubernetes:
    def test_defaults(self) -> None:
        found = kubernetes("kubernetes", "cluster.local 10.0.0.0/16")

        assert found.zones == ("cluster.local.", "0.10.in-addr.arpa.")
        assert (found.ttl_seconds, found.has_endpoints, found.passes_on) == (5, True, ())
        assert (found.namespaces, found.namespace_labels, found.labels) == (None, None, None)

    def test_everything_set(self) -> None:
        found = kubernetes(
            "kubernetes Cluster.Local in-addr.arpa {\n ttl 30\n noendpoints\n namespaces a b\n namespaces c\n"
            " labels x in (y, z)\n namespace_labels team=data\n fallthrough in-addr.arpa\n}"
        )

        assert found.zones == ("cluster.local.", "in-addr.arpa.")
        assert (found.ttl_seconds, found.has_endpoints, found.passes_on) == (30, False, ("in-addr.arpa.",))
        assert (found.namespaces, found.labels) == (frozenset("abc"), "x in (y, z)")
        assert found.namespace_labels == "team=data"

    def test_falls_through_everywhere(self) -> None:
        assert kubernetes("kubernetes {\n fallthrough\n}").passes_on == (".",)

    def test_unknown_from_the_environment(self) -> None:
        assert kubernetes("kubernetes {\n ttl {$TTL}\n}").ttl_seconds is None

    @pytest.mark.parametrize(
        "option",
        ["ttl", "ttl x", "ttl -1", "ttl 3601", "ttl 5s", "pods", "pods some", "pods insecure }", "noendpoints }"],
    )
    def test_refused(self, option: str) -> None:
        with pytest.raises(CorefileError) as caught:
            kubernetes(f"kubernetes {{\n {option}\n}}")

        assert caught.value.line == 3


class TestCache:
    @pytest.mark.parametrize(
        ("text", "most", "least"),
        [
            ("cache", 1800, 5),
            ("cache 30", 30, 5),
            ("cache 30 {\n success 9984 3600\n}", 30, 5),
            ("cache 30 {\n denial 9984\n}", 30, 5),
            ("cache 900 {\n denial 9984 10\n}", 10, 5),
            ("cache {\n denial 9984 10 0\n}", 10, 0),
            ("cache {$TTL}", None, 5),
            ("cache {\n denial 9984 10 {$LEAST}\n}", 10, None),
        ],
    )
    def test_bounds(self, text: str, most: int | None, least: int | None) -> None:
        found = cache(text)

        assert (found.denial_seconds, found.least_denial_seconds) == (most, least)

    @pytest.mark.parametrize(
        ("text", "kept"),
        [
            ("cache", True),
            ("cache example.org", False),
            ("cache 30 cluster.local example.org", True),
            ("cache {\n disable denial\n}", False),
            ("cache {\n disable denial cluster.local\n}", False),
            ("cache {\n disable success cluster.local\n disable denial example.org\n}", True),
        ],
    )
    def test_zones(self, text: str, *, kept: bool) -> None:
        assert cache(text).keeps_denial_of("svc.cluster.local.") is kept

    @pytest.mark.parametrize(
        "text",
        ["cache 0", "cache -5", "cache {\n denial 1 0\n}", "cache {\n denial 1 1 -1\n}", "cache {\n success x\n}"],
    )
    def test_refused(self, text: str) -> None:
        with pytest.raises(CorefileError):
            cache(text)

    @given(ttl=st.integers(0, 300), most=st.integers(1, 3600), least=st.integers(0, 3600))
    def test_time_kept_is_bounded(self, ttl: int, most: int, least: int) -> None:
        kept = cache(f"cache {{\n denial 1 {most} {least}\n}}").denial_kept_seconds(ttl)

        assert kept is not None
        assert kept <= most
        assert kept == min(most, max(ttl, least))


class TestLameduck:
    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            ("health", 0),
            ("health :8080 {\n}", 0),
            ("health {\n lameduck 5s\n}", 5),
            ("health {\n lameduck 1m30s\n}", 90),
            ("health {\n lameduck 500ms\n}", 0.5),
            ("health {\n lameduck {$LAMEDUCK}\n}", None),
        ],
    )
    def test_seconds(self, text: str, seconds: float | None) -> None:
        assert lameduck_seconds(block_with(text).directives[0]) == seconds

    @pytest.mark.parametrize("option", ["lameduck", "lameduck 5", "lameduck 5s 6s", "lameduck 5s }"])
    def test_refused(self, option: str) -> None:
        with pytest.raises(CorefileError):
            lameduck_seconds(block_with(f"health {{\n {option}\n}}").directives[0])


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        (". {\n kubernetes cluster.local in-addr.arpa\n}", "cluster.local."),
        (". {\n kubernetes in-addr.arpa prod.example clusterset.local\n}", "prod.example."),
        (". {\n kubernetes clusterset.local\n}\nb {\n kubernetes Cluster.Local\n}", "cluster.local."),
        ("prod.example {\n kubernetes\n}", "prod.example."),
        (". {\n forward . 10.0.0.1\n}", None),
    ],
)
def test_cluster_domain(text: str, domain: str | None) -> None:
    assert cluster_domain(parse_corefile(text)) == domain


@pytest.mark.parametrize(
    ("expression", "labels", "matches"),
    [
        ("a=b", {"a": "b"}, True),
        ("a==b", {"a": "c"}, False),
        ("a!=b", {}, True),
        ("a != b", {"a": "b"}, False),
        ("a in (b, c),d", {"a": "c", "d": ""}, True),
        ("a in (b,c),d", {"a": "c"}, False),
        ("a notin (b)", {"a": "c"}, True),
        ("!a", {"b": "c"}, True),
        ("example.com/a", {"example.com/a": "x"}, True),
    ],
)
def test_selectors(expression: str, labels: dict[str, str], *, matches: bool) -> None:
    selector = parse_selector(expression)

    assert selector is not None
    assert selector.matches(labels) is matches


@pytest.mark.parametrize("expression", ["", "a in b", "a=b,", "a in (b", "=b", "a b"])
def test_selectors_that_cannot_be_read(expression: str) -> None:
    assert parse_selector(expression) is None


@given(st.text())
def test_no_selector_crashes(expression: str) -> None:
    parse_selector(expression)
