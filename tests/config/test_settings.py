"""Where a setting comes from: flag > environment > file > profile > default."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.config.parameters import assigned
from auditor.config.schema import FailOn, Given
from auditor.config.settings import Configuration, configure, defaults, validate
from auditor.config.sources import VARIABLES
from auditor.errors import ConfigError, DuplicateIdError, UsageError
from auditor.model import Strictness, Workload

VALUES: Mapping[str, tuple[Any, ...]] = {
    "workloads": tuple((workload,) for workload in Workload),
    "strictness": tuple(Strictness),
    "fail_on": tuple(FailOn),
    "select": (("storage.*",), ("storage.default-class",)),
    "skip": (("storage.default-class",), ("STO-002",)),
    "format": ("json", "html", "text"),
}
IN_PROFILE = ("workloads", "strictness")
SOURCES = ("flag", "environment", "file", "profile")

choices = st.fixed_dictionaries(
    {
        name: st.dictionaries(st.sampled_from(SOURCES if name in IN_PROFILE else SOURCES[:-1]), st.sampled_from(values))
        for name, values in VALUES.items()
    }
)


def _from(source: str, chosen: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {name: by_source[source] for name, by_source in chosen.items() if source in by_source}


def _text(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else ",".join(value)


@settings(deadline=None)  # it loads the checks each time, which takes as long as there are many
@given(chosen=choices)
def test_the_highest_source_decides(
    tmp_path_factory: pytest.TempPathFactory, chosen: dict[str, dict[str, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("folder")
    content = {"profile": "ours", **_from("file", chosen), "profiles": {"ours": _from("profile", chosen)}}
    (folder / "auditor.yaml").write_text(json.dumps(content, indent=1))
    environ = {VARIABLES[name]: _text(value) for name, value in _from("environment", chosen).items()}
    configuration = configure(Given(**_from("flag", chosen)), environ=environ, folder=folder)
    for name, by_source in chosen.items():
        source = next((source for source in SOURCES if source in by_source), "default")
        expected = by_source.get(source, getattr(defaults().settings, name))
        assert getattr(configuration.settings, name) == expected
        assert _source_said(configuration.origins[name]) == source


def _source_said(origin: str) -> str:
    if origin.startswith("auditor.yaml:"):
        return "profile" if origin.endswith("(profile ours)") else "file"
    return origin.partition(" ")[0]


def _configured(folder: Path, text: str = "", *, flags: Given | None = None, **environ: str) -> Configuration:
    (folder / "auditor.yaml").write_text(text)
    return configure(flags or Given(), environ=environ, folder=folder)


CHECK = """
from typing import Annotated
from auditor import Finding, Parameters, Severity, check, threshold

class Limits(Parameters, frozen=True, kw_only=True):
    most: Annotated[int, threshold("Most.", source="the test", ge=1, le=10)] = 3
    share: Annotated[float, threshold("Share.", source="the test")] = 0.5
    name: Annotated[str, threshold("Name.", source="the test")] = "x"
    deep: Annotated[bool, threshold("Deep.", source="the test")] = False

@check("own.limits", title="t", severity=Severity.HIGH, reads=(), aliases=("OWN",))
def limits(facts, params: Limits):
    yield Finding.ok("ok")
"""


@pytest.fixture
def own_checks(tmp_path: Path) -> Path:
    """A folder with one check that has parameters."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "own.py").write_text(CHECK)
    return folder


def test_parameters_are_merged_one_by_one(tmp_path: Path, own_checks: Path) -> None:
    text = (
        "checks_dirs: [own]\nprofile: ours\nprofiles: {ours: {parameters: {OWN: {most: 1, share: 1, name: p}}}}\n"
        "parameters:\n  own.limits: {most: 2, share: 2}\n"
    )
    flags = Given(parameters=assigned(("own.limits.most=9", "own.limits.deep=true", "OWN.most=4")))
    configuration = _configured(tmp_path, text, flags=flags)
    assert configuration.settings.parameters == {"own.limits": {"most": 4, "share": 2.0, "name": "p", "deep": True}}
    assert configuration.origins["own.limits.share"] == "auditor.yaml:5"
    assert configuration.origins["own.limits.name"] == "auditor.yaml:3 (profile ours)"
    assert configuration.origins["own.limits.most"] == "flag --param"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("own.limits.most=0", "own.limits.most cannot be '0': expected `int` >= 1. The default is 3."),
        ("own.limits.most=11", "expected `int` <= 10"),
        ("own.limits.most=many", "expected `int`, got `str`"),
        ("own.limits.mots=1", "has no parameter 'mots'. Did you mean 'most'?"),
        ("own.limitz.most=1", "There is no check 'own.limitz'. Did you mean 'own.limits'"),
    ],
)
def test_a_bad_parameter_on_the_command_line(tmp_path: Path, own_checks: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _configured(tmp_path, "checks_dirs: [own]", flags=Given(parameters=assigned((text,))))
    message = str(caught.value).replace("\n  cause: ", " ")
    assert message.startswith("flag --param: ")
    assert said in message


@pytest.mark.parametrize("text", ["", "a=1", "a.b", "=1", ".a=1", "a.=1"])
def test_a_parameter_of_another_form(text: str) -> None:
    with pytest.raises(UsageError, match="does not have the form"):
        assigned((text,))


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"AUDITOR_FOR": "spark,kakfa"}, "environment AUDITOR_FOR: 'kakfa' is not one of:"),
        ({"AUDITOR_STRICTNESS": "stict"}, "Did you mean 'strict'?"),
        ({"AUDITOR_FAIL_ON": "ok"}, "environment AUDITOR_FAIL_ON"),
        ({"AUDITOR_PROFILE": "zzz"}, "environment AUDITOR_PROFILE: There is no profile 'zzz'."),
        ({"AUDITOR_SELECT": "zzz.*"}, "environment AUDITOR_SELECT: There is no check 'zzz.*'."),
        ({"AUDITOR_FORMAT": "pdf"}, "environment AUDITOR_FORMAT: There is no report 'pdf'."),
        ({"AUDITOR_CHECKS_DIR": "/nowhere"}, "environment AUDITOR_CHECKS_DIR: There is no folder '/nowhere'"),
    ],
)
def test_a_bad_variable_is_named(tmp_path: Path, environ: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        configure(environ=environ, folder=tmp_path)
    assert said in str(caught.value)


def test_lists_in_variables_and_empty_variables(tmp_path: Path, own_checks: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    settings = _configured(
        tmp_path,
        AUDITOR_FOR="Spark, kafka,spark",
        AUDITOR_SKIP="own.*,STO-001",
        AUDITOR_CHECKS_DIR=f"{own_checks}{os.pathsep}{other}",
        AUDITOR_PROFILE="",
    ).settings
    assert settings.workloads == (Workload.SPARK, Workload.KAFKA)
    assert settings.skip == ("own.*", "STO-001")
    assert settings.checks_dirs == (str(own_checks), str(other))
    assert settings.profile == "standard"


def test_the_named_file_goes_before_the_variable_and_the_folder(tmp_path: Path) -> None:
    named, by_variable = tmp_path / "named.yaml", tmp_path / "variable.yaml"
    named.write_text("profile: lenient")
    by_variable.write_text("profile: strict")
    (tmp_path / "auditor.yaml").write_text("strictness: strict")
    environ = {"AUDITOR_CONFIG": str(by_variable)}
    assert configure(config=named, environ=environ, folder=tmp_path).settings.profile == "lenient"
    assert configure(environ=environ, folder=tmp_path).origins["profile"] == f"{by_variable}:1"
    assert configure(environ={}, folder=tmp_path).origins["strictness"] == "auditor.yaml:1"
    assert configure(environ={}, folder=tmp_path / "nowhere").file is None


def test_checks_dirs_of_a_file_are_beside_it(tmp_path: Path, own_checks: Path) -> None:
    path = tmp_path / "auditor.yaml"
    path.write_text("checks_dirs: [own]")
    configuration = validate(path)
    assert configuration.settings.checks_dirs == (str(own_checks),)
    assert configuration.checks.get("OWN").id == "own.limits"


def test_a_plugin_that_cannot_be_loaded_excuses_checks_that_are_not_there(tmp_path: Path, own_checks: Path) -> None:
    text = (
        "checks_dirs: [own]\nselect: [gone.*, own.*]\nparameters: {gone.check: {a: 1}}\n"
        "waivers: [{id: gone.check, reason: r, owner: o, expires: 2026-12-31}]\n"
    )
    with pytest.raises(ConfigError, match="3 mistakes"):
        _configured(tmp_path, text)
    (own_checks / "gone.py").write_text("raise RuntimeError('gone')")
    warnings = _configured(tmp_path, text).warnings
    assert len(warnings) == 3
    assert all("may belong to a plugin that could not be loaded" in warning for warning in warnings)
    with pytest.raises(ConfigError, match="has no parameter 'leats'"):
        _configured(tmp_path, text + "profiles: {p: {parameters: {OWN: {leats: 1}}}}")


def test_a_duplicate_id_names_both_places(tmp_path: Path, own_checks: Path) -> None:
    (own_checks / "twice.py").write_text(CHECK)
    with pytest.raises(DuplicateIdError) as caught:
        _configured(tmp_path, "checks_dirs: [own]")
    assert "own.py:" in str(caught.value)
    assert "twice.py:" in str(caught.value)
