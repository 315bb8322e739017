"""`auditor clean`: what it lists, what it chooses, what it asks, and its exit codes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from auditor.cli import clean
from auditor.cli.main import cli
from auditor.sandbox.clean import Leftover, Removal
from auditor.sandbox.runs import FoundRun

Run = Callable[..., Result]

LEFT = Leftover(
    kind="PersistentVolume", name="pvc-0", namespace=None, reason="it is stuck", command="auditor clean --run dead"
)


def a_run(run_id: str, *, expires_in_minutes: float | None) -> FoundRun:
    expiry = None if expires_in_minutes is None else datetime.now(UTC) + timedelta(minutes=expires_in_minutes)
    return FoundRun(
        run_id=run_id,
        began_at=datetime.now(UTC) - timedelta(hours=3),
        expires_at=expiry,
        namespaces=(f"auditor-{run_id}",),
        objects={"Namespace": 1, "Pod": 12},
    )


DEAD = a_run("dead", expires_in_minutes=-130)
ALIVE = a_run("alive", expires_in_minutes=50)


@dataclass
class Stage:
    """What the cluster holds, and what was done to it."""

    runs: list[FoundRun] = field(default_factory=lambda: [DEAD, ALIVE])
    unseen: dict[str, str] = field(default_factory=dict)
    removal: Removal = field(default_factory=lambda: Removal(removed={"Namespace": 1, "Pod": 12}, seconds=12.3))
    removed: list[tuple[str, str, float]] = field(default_factory=list)
    looked: list[tuple[str, str]] = field(default_factory=list)

    def find_runs(self, _objects: object, *, namespace: str, run_id: str) -> tuple[list[FoundRun], dict[str, str]]:
        self.looked.append((namespace, run_id))
        return [run for run in self.runs if run_id in ("", run.run_id)], self.unseen

    def remove_run(self, _objects: object, run_id: str, *, namespace: str, seconds: float, **_: Any) -> Removal:
        self.removed.append((run_id, namespace, seconds))
        return self.removal


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A cluster without a cluster."""
    found = Stage()
    monkeypatch.setattr(clean, "connect", lambda *_, **__: None)
    monkeypatch.setattr(clean, "_objects", lambda _: None)
    monkeypatch.setattr(clean, "find_runs", found.find_runs)
    monkeypatch.setattr(clean, "remove_run", found.remove_run)
    return found


def names(stage: Stage) -> list[str]:
    return [run_id for run_id, _, _ in stage.removed]


def test_only_dead_runs_are_removed_unless_more_is_asked_for(run: Run, stage: Stage) -> None:
    result = run("clean", "--yes")

    assert (result.exit_code, names(stage)) == (0, ["dead"])
    lines = result.stdout.splitlines()
    assert lines[1].split("  ")[0] == "dead"
    assert "3 h" in lines[1]
    assert "2 h ago" in lines[1]
    assert lines[1].endswith("to remove")
    assert re.search(r"  in \d\d min  ", lines[2])
    assert lines[2].endswith("kept")
    assert lines[3] == "run dead: 13 objects removed in 12 s"


def test_expired_may_be_said(run: Run, stage: Stage) -> None:
    run("clean", "--yes", "--expired")

    assert names(stage) == ["dead"]


def test_all_are_all(run: Run, stage: Stage) -> None:
    run("clean", "--yes", "--all", "--timeout", 60)

    assert stage.removed == [("dead", "", 60), ("alive", "", 60)]


def test_one_run_dead_or_alive_in_one_namespace(run: Run, stage: Stage) -> None:
    run("clean", "--yes", "--run", "alive", "--namespace", "audit")

    assert stage.looked == [("audit", "alive")]
    assert stage.removed == [("alive", "audit", 180)]


def test_a_dry_run_only_lists(run: Run, stage: Stage) -> None:
    result = run("clean", "--all", "--dry-run")

    assert (result.exit_code, stage.removed) == (0, [])
    assert result.stdout.count("to remove") == 2


def test_nothing_to_do_is_no_error(run: Run, stage: Stage) -> None:
    stage.runs = []

    result = run("clean", "--yes")

    assert (result.exit_code, result.stdout) == (0, "No run left anything behind.\n")


def test_a_run_whose_expiry_was_lost_is_kept(run: Run, stage: Stage) -> None:
    stage.runs = [a_run("lost", expires_in_minutes=None)]

    result = run("clean", "--yes")

    assert stage.removed == []
    assert "not known" in result.stdout


def test_what_is_left_is_told_with_its_reason_and_command(run: Run, stage: Stage) -> None:
    stage.removal = Removal(removed={"Pod": 12}, left=(LEFT,), notes=("Pod p was removed without its node.",))

    result = run("clean", "--yes")

    assert result.exit_code == 1
    assert "12 objects removed in 0 s, 1 left\n" in result.stdout
    assert "  PersistentVolume pvc-0: it is stuck\n    next:  auditor clean --run dead\n" in result.stdout
    assert "Pod p was removed without its node." in result.stderr


def test_what_could_not_be_looked_at_is_undetermined(run: Run, stage: Stage) -> None:
    stage.removal = Removal(removed={}, unseen={"persistentvolumes": "the account may not list persistentvolumes"})

    result = run("clean", "--yes")

    assert result.exit_code == 5
    assert "not looked at: persistentvolumes: the account may not list persistentvolumes" in result.stderr


def test_a_clean_cluster_that_could_not_be_seen_is_undetermined(run: Run, stage: Stage) -> None:
    stage.runs, stage.unseen = [], {"persistentvolumes": "the account may not list persistentvolumes"}

    assert run("clean", "--yes").exit_code == 5


def test_an_account_that_sees_no_namespace_is_told_to_name_one(run: Run, stage: Stage) -> None:
    stage.unseen = {"pods": "the account may not list pods"}

    result = run("clean", "--yes")

    assert result.exit_code == 1
    assert "auditor clean --namespace NAME" in result.stderr
    assert stage.removed == []


@pytest.mark.parametrize("words", [("--all", "--expired"), ("--run", "x", "--all")])
def test_only_one_choice(run: Run, words: tuple[str, ...]) -> None:
    result = run("clean", "--yes", *words)

    assert (result.exit_code, "Only one of" in result.stderr) == (2, True)


def test_without_a_terminal_it_must_be_said(run: Run, stage: Stage) -> None:
    result = run("clean")

    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert stage.looked == []


@pytest.mark.parametrize(("answer", "removed", "code"), [("y", ["dead"], 0), ("n", [], 1)])
def test_on_a_terminal_it_asks(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, answer: str, removed: list[str], code: int
) -> None:
    monkeypatch.setattr(clean, "_is_terminal", lambda: True)

    result = CliRunner().invoke(cli, ["clean"], input=answer, prog_name="auditor")

    assert (result.exit_code, names(stage)) == (code, removed)
    assert "Remove 1 run?" in result.stderr


def test_a_cluster_that_does_not_answer_is_no_clean_cluster(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clean, "_ANSWER_SECONDS", 0.1)
    config = tmp_path / "config"
    config.write_text(
        "{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}], "
        "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:9'}}], users: [{name: u, user: {token: t}}]}"
    )

    result = run("clean", "--yes", "--kubeconfig", config)

    assert result.exit_code == 1
    assert "does not answer" in result.stderr
