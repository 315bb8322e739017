"""Corefiles: blocks, snippets, imports; what CoreDNS refuses; and the ones that vendors ship."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.facts.corefile import Corefile, CorefileError, parse_corefile
from auditor.facts.corefile.parser import MAX_NESTING

SHIPPED = sorted((Path(__file__).parent / "data").glob("*.Corefile"))

FOLDERS = ("/etc/coredns", "/etc/coredns/custom")


def parse(text: str, **files: str) -> Corefile:
    """A Corefile with files below /etc/coredns/custom, their names with ``_`` for the dot."""
    paths = {f"/etc/coredns/custom/{name.replace('_', '.')}": content for name, content in files.items()}
    return parse_corefile(text, files=paths, folders=FOLDERS)


def names(corefile: Corefile) -> list[list[str]]:
    return [[each.name for each in block.directives] for block in corefile.blocks]


class TestBlocks:
    def test_of_kubeadm(self) -> None:
        corefile = parse((SHIPPED[0].parent / "kubeadm.Corefile").read_text())

        [block] = corefile.blocks
        assert (block.keys, block.zones, corefile.port) == ((".:53",), (".",), "53")
        kubernetes = block.plugin("kubernetes")
        assert kubernetes is not None
        assert kubernetes.args == ("cluster.local", "in-addr.arpa", "ip6.arpa")
        assert [option.words for option in kubernetes.options] == [
            ("pods", "insecure"),
            ("fallthrough", "in-addr.arpa", "ip6.arpa"),
            ("ttl", "30"),
        ]
        assert (kubernetes.line, kubernetes.options[2].line) == (7, 10)

    def test_have_addresses_parted_by_commas_and_lines(self) -> None:
        corefile = parse("a:53 b,\n c:54 {\n errors\n}\n\nd {\n}\n")

        assert [block.keys for block in corefile.blocks] == [("a:53", "b", "c:54"), ("d",)]
        assert [block.line for block in corefile.blocks] == [1, 6]

    def test_the_only_one_needs_no_braces(self) -> None:
        assert names(parse(".\nerrors\ncache 30\n")) == [["errors", "cache"]]

    def test_nested_options(self) -> None:
        [block] = parse(". {\n a b {\n  c d {\n   e\n  }\n  f\n }\n g\n}").blocks

        outer = block.directives[0]
        assert [(option.name, [inner.name for inner in option.options]) for option in outer.options] == [
            ("c", ["e"]),
            ("f", []),
        ]

    def test_a_brace_after_a_word_is_an_argument(self) -> None:
        [block] = parse(". {\n health { lameduck 5s }\n errors\n}").blocks

        assert block.directives[0].options[0].args == ("5s", "}")
        assert [each.name for each in block.directives] == ["health", "errors"]

    def test_environment_variables_stay(self) -> None:
        [block] = parse("{$ZONE}:{$PORT} {\n forward . {%UPSTREAM%}\n}").blocks

        assert block.directives[0].args == (".", "{%UPSTREAM%}")

    def test_of_one_plugin_all_and_the_last_option(self) -> None:
        [block] = parse(". {\n log a\n log b\n kubernetes {\n  ttl 5\n  ttl 6\n }\n}").blocks

        assert [each.args for each in block.named("log")] == [("a",), ("b",)]
        kubernetes = block.plugin("kubernetes")
        assert kubernetes is not None
        ttl = kubernetes.option("ttl")
        assert ttl is not None
        assert ttl.args == ("6",)
        assert kubernetes.option("pods") is None
        assert block.plugin("cache") is None


class TestNames:
    COREFILE = """
        .:53 {
            kubernetes cluster.local in-addr.arpa
        }
        corp.example:53 10.0.0.0/8 {
            forward . 10.1.0.2
        }
        tls://cluster.local {
            forward . 10.1.0.3
        }
        cluster.local:1053 {
            whoami
        }
        .:53 {
            view internal {
                expr true
            }
        }
    """

    @pytest.mark.parametrize(
        ("name", "line"),
        [
            ("svc.cluster.local.", 2),
            ("example.", 2),
            ("a.corp.example.", 5),
            ("1.2.3.10.in-addr.arpa.", 5),
            ("1.2.3.11.in-addr.arpa.", 2),
        ],
    )
    def test_belong_to_the_block_with_the_longest_zone_on_the_port(self, name: str, line: int) -> None:
        block = parse(self.COREFILE).block_for(name)

        assert block is not None
        assert block.line == line

    def test_blocks_below_a_zone(self) -> None:
        corefile = parse(self.COREFILE)

        assert [block.line for block in corefile.blocks_below("in-addr.arpa.")] == [5]
        assert not corefile.blocks_below("ip6.arpa.")

    def test_without_a_root_block_some_belong_to_none(self) -> None:
        assert parse("a {\n}\n").block_for("b.") is None
        assert parse("").port is None
        assert parse("").block_for("b.") is None


class TestImports:
    def test_snippet(self) -> None:
        corefile = parse(
            "(common) {\n errors\n cache {\n  denial 1 5\n }\n}\na {\n import common\n log\n}\nb {\nimport common\n}"
        )

        assert names(corefile) == [["errors", "cache", "log"], ["errors", "cache"]]
        cache = corefile.blocks[0].plugin("cache")
        assert cache is not None
        assert cache.line == 3
        assert cache.options[0].words == ("denial", "1", "5")

    def test_within_options(self) -> None:
        corefile = parse("(o) {\n ttl 5\n}\na {\n kubernetes {\n  import o\n  pods insecure\n }\n}")

        assert [option.words for option in corefile.blocks[0].directives[0].options] == [
            ("ttl", "5"),
            ("pods", "insecure"),
        ]

    def test_files_in_order_of_their_names(self) -> None:
        corefile = parse(
            ". {\n import custom/*.override\n}\nimport /etc/coredns/custom/*.server\n",
            b_override="log",
            a_override="errors\n",
            x_server="corp {\n whoami\n}\n",
            readme_txt="}",
        )

        assert names(corefile) == [["errors", "log"], ["whoami"]]
        assert corefile.blocks[0].directives[1].file == "/etc/coredns/custom/b.override"
        assert (corefile.blocks[1].file, corefile.blocks[1].line) == ("/etc/coredns/custom/x.server", 1)
        assert not corefile.missing

    def test_patterns_may_find_nothing(self) -> None:
        corefile = parse(". {\n import custom/*.override\n errors\n}\nimport custom/?.server")

        assert names(corefile) == [["errors"]]
        assert not corefile.missing

    def test_relative_to_the_importing_file(self) -> None:
        corefile = parse(". {\n import custom/a.x\n}", a_x="import b.x\n", b_x="errors\n")

        assert names(corefile) == [["errors"]]

    def test_unknown_folders_and_variables_are_missing(self) -> None:
        corefile = parse(". {\n import /elsewhere/*.conf\n import {$FOLDER}/x\n errors\n}\n")

        assert names(corefile) == [["errors"]]
        assert [(each.pattern, each.folder, each.line) for each in corefile.missing] == [
            ("/elsewhere/*.conf", "/elsewhere", 2),
            ("/etc/coredns/{$FOLDER}/x", "/etc/coredns/{$FOLDER}", 3),
        ]

    def test_a_file_that_imports_itself_ends(self) -> None:
        with pytest.raises(CorefileError, match="imports itself"):
            parse("import custom/a.x", a_x="b {\n}\nimport a.x\n")

    def test_snippets_that_import_each_other_end(self) -> None:
        with pytest.raises(CorefileError, match="imports itself"):
            parse("(a) {\n import b\n}\n(b) {\n import a\n}\n. {\n import a\n}")


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (". {\n errors\n", 2, "closing brace of a server block is missing"),
        (". { errors }", 1, "closing brace on the line of a plugin"),
        (". {\n cache {\n  denial 1\n", 3, "ends within the braces of a plugin"),
        ("a, {\n}", 1, "another address after the comma"),
        ("a,", 1, "another address was expected"),
        (". {\n {\n }\n}", 2, "an opening brace where a plugin was expected"),
        ("a , b {\n}", 1, "'' is no address of a server block"),
        (":53 {\n}", 1, "':53' is no address"),
        ("a..b {\n}", 1, "is not a domain name"),
        ("(a) {\n errors\n", 2, "closing brace of the snippet a is missing"),
        ("(a)\nerrors\n", 2, "needs an opening brace"),
        ("(a) {\n}\n(a) {\n}", 3, "declared twice"),
        ("(a) {\n import a\n}", 3, "imports itself"),
        ("import", 1, "import needs a file"),
        ('import ""', 1, "import needs a file"),
        ("import a b", 1, "one argument only"),
        (". {\n import custom/none\n}", 2, "the file to import does not exist: custom/none"),
        ("import custom/*/*.x", 1, "one wildcard only"),
        ("import custom/[a].x", 1, "one wildcard only"),
        (". {\n a " + "{\n" * (MAX_NESTING + 1), MAX_NESTING + 2, "nested deeper"),
    ],
)
def test_refused(text: str, line: int, what: str) -> None:
    with pytest.raises(CorefileError, match=what) as caught:
        parse(text)

    assert (caught.value.line, caught.value.file) == (line, "/etc/coredns/Corefile")


def test_an_error_in_an_imported_file_names_it() -> None:
    with pytest.raises(CorefileError) as caught:
        parse("import custom/a.server", a_server="corp {\n forward . {\n")

    assert str(caught.value) == "/etc/coredns/custom/a.server:2: the file ends within the braces of a plugin"


class TestShipped:
    @pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
    def test_can_be_read_and_printed(self, path: Path) -> None:
        corefile = parse(path.read_text())

        assert corefile.blocks
        assert not corefile.missing
        assert parse(str(corefile)) == corefile

    def test_regular_expressions_stay_whole(self) -> None:
        corefile = parse((SHIPPED[0].parent / "aks.Corefile").read_text())

        template = corefile.blocks[0].named("template")[0]
        assert template.args == ("ANY", "ANY", "internal.cloudapp.net")
        assert template.options[0].args == (r"^(?:[^.]+\.){4,}internal\.cloudapp\.net\.$",)

    def test_placeholders_of_node_local_dns(self) -> None:
        corefile = parse((SHIPPED[0].parent / "node-local-dns.Corefile").read_text())

        assert [block.zones for block in corefile.blocks] == [
            ("__pillar__dns__domain__.",),
            ("in-addr.arpa.",),
            ("ip6.arpa.",),
            (".",),
        ]


FRAGMENTS = st.sampled_from(
    [
        *("a", "b.c:53", ".", "{", "}", "{\n", "}\n", "\n", "\n", " ", "\t", '"', "\\", "#", ",", ", ", '""', "\ufeff"),
        *("import", "import custom/*.x\n", "import s\n", "import custom/a.x\n", "(s) {\n", "(s)", "{$E}", "\r", "\x1c"),
        *("errors\n", "cache 30 {\n", "denial 1 2\n", '"q r"', '\\"', "x#y z", "a, b {\n", ". {\n", "10.0.0.0/9 "),
    ]
)
TEXTS = st.one_of(st.text(), st.lists(FRAGMENTS, max_size=30).map("".join))
STRUCTURED = st.lists(
    st.sampled_from(
        [". {\n", "a, b:54 {\n", "}\n", "}\n", "errors\n", "cache 30 {\n", "denial 1 2\n", '"q r" x#y z\n', "\n", "}"]
    ),
    max_size=30,
).map("".join)


@given(text=TEXTS, one=TEXTS, two=TEXTS)
def test_nothing_but_the_typed_error(text: str, one: str, two: str) -> None:
    try:
        corefile = parse(text, a_x=one, b_x=two)
    except CorefileError as error:
        assert 0 <= error.line <= max(each.count("\n") for each in (text, one, two)) + 1  # noqa: PT017
        return
    for block in corefile.blocks:
        assert block.keys
        assert block.addresses


@settings(max_examples=300)
@given(text=st.one_of(TEXTS, STRUCTURED), one=TEXTS)
def test_what_is_printed_is_read_as_the_same(text: str, one: str) -> None:
    try:
        corefile = parse(text, a_x=one)
    except CorefileError:
        return

    again = parse(str(corefile))

    assert again.blocks == corefile.blocks
    assert [block.directives for block in again.blocks] == [block.directives for block in corefile.blocks]
    assert str(again) == str(corefile)
