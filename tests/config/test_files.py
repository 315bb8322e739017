"""auditor.yaml: every mistake is named with its line and, where there is one, what was probably meant."""

from __future__ import annotations

import contextlib
import textwrap
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.config.document import Document
from auditor.config.schema import ConfigFile, FailOn
from auditor.config.settings import validate
from auditor.config.sources import FLAGS, VARIABLES, read_file
from auditor.errors import ConfigError
from auditor.model import Strictness, Waiver, Workload
from auditor.sandbox.scope import ProbeOptions
from auditor.sandbox.settings import Images, SandboxSettings

WAIVER = "{id: storage.default-class, reason: r, owner: o, expires: 2026-12-31}"

MISTAKES = {
    "an unknown key": ("version: 1\nprofle: strict", 2, "Unknown key 'profle'. Did you mean 'profile'?"),
    "an unknown key without a like": ("zzz: 1", 1, "Unknown key 'zzz'. Known: workloads, "),
    "the flag's name as key": ("for: [spark]", 1, "Unknown key 'for'. Did you mean 'workloads'?"),
    "an unknown key of a waiver": (
        f"waivers:\n- {WAIVER[:-1]}, objekt: x}}",
        2,
        "Unknown key 'objekt' in 'waivers[0]'. Did you mean 'object'?",
    ),
    "an unknown key of a profile": (
        "profiles:\n  ours:\n    strictnes: strict",
        3,
        "Unknown key 'strictnes' in 'profiles.ours'. Did you mean 'strictness'?",
    ),
    "a waiver without reason": ("waivers:\n- {id: a.b, owner: o, expires: 2026-12-31}", 2, "lacks 'reason'"),
    "a waiver without owner": ("waivers:\n- {id: a.b, reason: r, expires: 2026-12-31}", 2, "lacks 'owner'"),
    "a waiver without expiry": ("waivers:\n- {id: a.b, reason: r, owner: o}", 2, "lacks 'expires'"),
    "a waiver with an empty reason": (
        "waivers:\n- id: storage.default-class\n  reason: ' '\n  owner: o\n  expires: 2026-12-31",
        3,
        "'waivers[0].reason' is empty.",
    ),
    "a waiver with a null owner": (
        "waivers:\n- id: a.b\n  owner:\n  reason: r\n  expires: 2026-12-31",
        2,
        "lacks 'owner'",
    ),
    "a day that does not exist": (
        "waivers:\n- id: a.b\n  expires: 2026-02-30\n  owner: o\n  reason: r",
        3,
        "must be a date, not '2026-02-30'. Write it as YYYY-MM-DD.",
    ),
    "a waiver of no check": (
        "waivers:\n- id: storage.defualt-class\n  reason: r\n  owner: o\n  expires: 2026-12-31",
        2,
        "The waiver 'storage.defualt-class' matches no check. Did you mean 'storage.default-class'?",
    ),
    "text instead of a list": ("workloads: spark", 1, "'workloads' must be a list. Write [spark]."),
    "keys instead of a list": ("select: {a: 1}", 1, "'select' must be a list."),
    "a list instead of keys": ("parameters: [1]", 1, "'parameters' must be names with values."),
    "a list instead of the file's keys": ("- 1", 1, "The file must be keys with values."),
    "a number instead of text": ("profile: 5", 1, "'profile' must be text, not a whole number. Put it in quotes."),
    "text instead of a number": ("version: one", 1, "'version' must be a whole number, not text."),
    "an unknown version": ("\nversion: 2", 2, "Version 2 of the configuration is not known."),
    "an unknown workload": ("workloads:\n- spark\n- kakfa", 3, "Did you mean 'kafka'?"),
    "no workload": ("workloads: []", 1, "There is no workload to judge for."),
    "an unknown strictness": ("strictness: stict", 1, "Did you mean 'strict'?"),
    "an unknown fail_on": ("fail_on: warning", 1, "'warning' is not one of: fail, warn. Did you mean 'warn'?"),
    "an unknown profile": ("profile: strickt", 1, "There is no profile 'strickt'. Did you mean 'strict'?"),
    "a profile that is built in": ("profiles:\n  strict: {}", 2, "The profile 'strict' is built in."),
    "an unknown format": ("format: htlm", 1, "There is no report 'htlm'. Did you mean 'html'?"),
    "a selection of nothing": (
        "select:\n- storage.*\n- storage.default-clas",
        3,
        "There is no check 'storage.default-clas'. Did you mean 'storage.default-class'",
    ),
    "a skip of nothing": ("skip: [zzz.*]", 1, "There is no check 'zzz.*'. List them with: auditor list checks"),
    "a folder that is not there": ("checks_dirs:\n- nowhere", 2, "nowhere' to find checks in."),
    "parameters of no check": ("parameters:\n  storage.defualt-class: {a: 1}", 2, "There is no check"),
    "an unknown parameter": (
        "parameters:\n  storage.driver-installed:\n    external_provisioner: []",
        3,
        "has no parameter 'external_provisioner'. Did you mean 'external_provisioners'?",
    ),
    "a parameter of a check that has none": ("parameters: {STO-001: {a: 1}}", 1, "It has none."),
    "a parameter of the wrong type": (
        "parameters:\n  storage.driver-installed:\n    external_provisioners: 3",
        3,
        "storage.driver-installed.external_provisioners cannot be 3: expected `array`, got `int`. The default is [].",
    ),
    "a parameter of a profile that is not chosen": (
        "profiles:\n  ours:\n    parameters:\n      storage.default-class: {a: 1}",
        4,
        "has no parameter 'a'",
    ),
    "a key that stands twice": ("profile: strict\n\nprofile: lenient", 3, "stands twice. First on line 1."),
    "a parameter that stands twice": (
        "parameters:\n  storage.default-class:\n    a: 1\n    a: 2",
        4,
        "The key 'a' stands twice in 'parameters.storage.default-class'.",
    ),
    "a key that is no text": ("? [a]\n: 1", 1, "A key is not text."),
    "an unknown tag": ("profile: !!python/name:os.system x", 1, "'profile' cannot be read"),
    "broken YAML": ("profile: strict\nselect: [a\nskip: b", 3, "The file is not YAML"),
    "a tab": ("profiles:\n\tours: {}", 2, "The file is not YAML"),
    "two documents": ("version: 1\n---\nversion: 1", 2, "The file is not YAML"),
    "a control character": ("version: 1\nprofile: a\x00b", 2, "The file holds a control character."),
    "a loop": ("parameters: &a\n  x: *a", 1, "The file refers to itself."),
    "no end of nesting": ("parameters: " + "[" * 5000, 1, "nested too deeply"),
}


def _refused(tmp_path: Path, data: bytes) -> str:
    path = tmp_path / "auditor.yaml"
    path.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        validate(path)
    return str(caught.value).replace(f"{tmp_path}/", "").replace("\n  cause: ", " ")


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_with_its_line_and_a_way_on(tmp_path: Path, name: str) -> None:
    text, line, said = MISTAKES[name]
    message = _refused(tmp_path, text.encode())
    assert f"auditor.yaml:{line}" in message
    assert said in message


def test_invalid_utf8_is_named_with_its_line(tmp_path: Path) -> None:
    assert "auditor.yaml:2: The file is not UTF-8." in _refused(tmp_path, b"version: 1\nprofile: stri\xffct")


def test_all_mistakes_are_named_at_once_in_the_order_of_lines(tmp_path: Path) -> None:
    text = "profile: ours\nformat: htlm\nskip: [zzz]\nparameters:\n  storage.default-class:\n    b: 1\n"
    lines = _refused(tmp_path, text.encode()).splitlines()
    assert lines[0] == "The configuration has 4 mistakes:"
    assert [line.split()[0] for line in lines[1:5]] == [f"auditor.yaml:{number}:" for number in (1, 2, 3, 6)]


def test_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "auditor.yaml"
    path.write_text(
        textwrap.dedent("""\
        version: 1
        profile: ours
        workloads: [spark, kafka]
        strictness: strict
        fail_on: warn
        select:
        skip: [STO-001]
        parameters: {storage.driver-installed: {external_provisioners: [a, "b"]}}
        waivers:
        - id: STO-001
          object: StorageClass gp*
          reason: r
          owner: &me someone
          expires: 2026-12-31
        - {id: storage.*, reason: r, owner: *me, expires: "2027-01-31"}
        profiles:
          ours: {description: Ours.}
        """)
    )
    content = read_file(path).content
    assert content.workloads == (Workload.SPARK, Workload.KAFKA)
    assert (content.strictness, content.fail_on, content.select) == (Strictness.STRICT, FailOn.WARN, None)
    settings = validate(path).settings
    assert settings.parameters == {"storage.driver-installed": {"external_provisioners": ("a", "b")}}
    assert settings.waivers == (
        Waiver(
            id="storage.default-class",
            object="StorageClass gp*",
            reason="r",
            owner="someone",
            expires=date(2026, 12, 31),
        ),
        Waiver(id="storage.*", reason="r", owner="someone", expires=date(2027, 1, 31)),
    )


@pytest.mark.parametrize("data", [b"", b"# nothing\n", b"\xef\xbb\xbfversion: 1\n", b"waivers:\n"])
def test_a_file_that_says_nothing_changes_nothing(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "auditor.yaml"
    path.write_bytes(data)
    assert read_file(path).content == ConfigFile()


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        validate(tmp_path)
    with pytest.raises(ConfigError, match="There is no configuration file"):
        validate(tmp_path / "nowhere.yaml")


@given(st.binary(max_size=200) | st.text("abc:-[]{}&*!|>'\"\n #?,%@`\t", max_size=60).map(str.encode))
def test_any_bytes_are_a_file_or_a_config_error(data: bytes) -> None:
    with contextlib.suppress(ConfigError):
        assert isinstance(Document(data, name="auditor.yaml").read(ConfigFile), ConfigFile)


def test_every_key_and_variable_is_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    for name in ConfigFile.__struct_fields__:
        assert f"| `{name}` |" in page
    for name in (*FLAGS.values(), *VARIABLES.values()):
        assert f"`{name}" in page


def test_the_example_in_the_documentation_is_valid(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    path = tmp_path / "auditor.yaml"
    path.write_text(page.partition("```yaml\n")[2].partition("```")[0])
    (tmp_path / "checks").mkdir()
    assert validate(path).settings.profile == "production"


SECTIONS = """
images: {agent: registry.example.com/auditor:1, pull_secrets: [mirror]}
sandbox:
  namespace: audit
  node_selector: {pool: data}
  tolerations: [{key: data, operator: Exists}]
  run_as_user: 0
probes: {storage_classes: ["fast-*"], lease_seconds: 300, load_balancer: true}
"""


def test_images_sandbox_and_probes_are_read_and_shown(tmp_path: Path) -> None:
    path = tmp_path / "auditor.yaml"
    path.write_text(SECTIONS)
    configuration = validate(path)
    settings = configuration.settings

    assert settings.sandbox.images.agent == "registry.example.com/auditor:1"
    assert settings.sandbox.images.python.startswith("python:")
    assert settings.sandbox.tolerations == ({"key": "data", "operator": "Exists"},)
    assert settings.sandbox.run_as_user == 0
    assert (settings.probes.storage_classes, settings.probes.lease_seconds) == (("fast-*",), 300.0)
    shown = configuration.in_force()
    assert shown["sandbox.namespace"] == {"value": "audit", "origin": f"{path}:4"}
    assert shown["images.mirror"] == {"value": "", "origin": "default"}
    assert "sandbox.images" not in shown


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sandbox: {namespce: x}", "Unknown key 'namespce' in 'sandbox'. Did you mean 'namespace'?"),
        ("probes: {lookups: many}", "'probes.lookups' must be a whole number, not text."),
        ("probes: {lease_seconds: soon}", "'probes.lease_seconds' must be a number, not text."),
        ("probes: {load_balancer: 1}", "'probes.load_balancer' must be true or false, not a whole number."),
        ("probes: {disk_seconds: 0}", "'probes.disk_seconds' cannot be 0.0. It must be more than 0."),
        ("sandbox: {run_as_user: -1}", "'sandbox.run_as_user' cannot be -1. It must not be negative."),
        ("sandbox: {images: {agent: x}}", "Images have a section of their own."),
        ("images: {pull_policy: Sometimes}", "'images.pull_policy' cannot be 'Sometimes'."),
        ("sandbox: {node_selector: {pool: true}}", "'sandbox.node_selector.pool' must be text, not true or false."),
    ],
)
def test_what_is_wrong_in_them_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "auditor.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        validate(path)
    assert said in str(caught.value).replace("\n  cause: ", " ")
    assert str(caught.value).startswith(f"{path}:1: ")


def test_every_key_of_the_sections_is_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    for section, kind in (("images", Images), ("sandbox", SandboxSettings), ("probes", ProbeOptions)):
        for name in set(kind.__struct_fields__) - {"images"}:
            assert f"| `{section}.{name}` |" in page
