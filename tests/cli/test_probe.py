"""`auditor probe` as people call it: the plan, the question, the bundle, Ctrl-C, accounts that may do too little."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from auditor.cli.main import cli
from auditor.facts.observations.api import ApiObservations
from auditor.probing import DRY_RUN_ID
from tests.collecting import manifest
from tests.testbed.client import Cluster, wait_for
from tests.testbed.layout import AUDIT_KUBECONFIG, KUBECONFIG
from tests.testbed.proxy import ApiProxy

Run = Callable[..., Result]

QUICK = """
probes: {lease_seconds: 5, api_requests: 3}
"""
ONLY_API = ("--probe", "api", "--select", "storage.default-class")


@pytest.fixture(autouse=True)
def _quick() -> None:
    Path("auditor.yaml").write_text(QUICK)


def run_namespaces(cluster: Cluster) -> set[str]:
    """The namespaces of runs that are there."""
    found = cluster.core.list_namespace(label_selector="app.kubernetes.io/managed-by=auditor").items
    return {namespace.metadata.name for namespace in found if namespace.metadata.name.startswith("auditor-")}


# --- without a cluster


def test_without_a_terminal_it_must_be_told_yes(run: Run, tmp_path: Path) -> None:
    result = run("probe", "--kubeconfig", tmp_path / "none", "-o", tmp_path / "bundle")

    assert result.exit_code == 2
    assert "--yes" in result.stderr


def test_a_bundle_must_be_named(run: Run) -> None:
    result = run("probe", "--yes")

    assert result.exit_code == 2
    assert "-o BUNDLE is missing" in result.stderr


def test_pull_secrets_need_a_namespace_that_holds_them(run: Run) -> None:
    Path("auditor.yaml").write_text("images: {pull_secrets: [mirror]}")

    result = run("probe", "--dry-run")
    assert result.exit_code == 2
    assert "--namespace" in result.stderr


# --- the plan


def test_an_unknown_probe_is_told_with_the_closest(run: Run, test_bed: Cluster, tmp_path: Path) -> None:
    result = run("probe", "--kubeconfig", KUBECONFIG, "--probe", "apy", "--dry-run")

    assert result.exit_code == 2
    assert "There is no probe 'apy'" in result.stderr
    assert "'api'" in result.stderr


def test_a_dry_run_prints_every_manifest_and_only_reads(run: Run, test_bed: Cluster) -> None:
    with ApiProxy() as proxy:
        first = run("probe", "--kubeconfig", proxy.kubeconfig, "--dry-run", "--probe", "*")
        verbs = {request.verb for request, _ in proxy.requests}
    second = run("probe", "--kubeconfig", KUBECONFIG, "--dry-run", "--probe", "*")

    assert first.exit_code == 0, first.output
    assert first.stdout == second.stdout
    assert verbs <= {"get", "list"}
    documents = list(yaml.safe_load_all(first.stdout))
    assert [each["kind"] for each in documents[:3]] == ["Namespace", "ResourceQuota", "ConfigMap"]
    for document in documents:
        assert document["metadata"]["labels"]["cluster-readiness-auditor/run"] == DRY_RUN_ID
    assert "# probe api" in first.stdout
    assert first.stdout.startswith("# probes ")


def test_in_a_namespace_that_is_given_none_is_made(run: Run, test_bed: Cluster) -> None:
    words = ("--namespace", "default", "--probe", "api", "--dry-run")
    documents = list(yaml.safe_load_all(run("probe", "--kubeconfig", KUBECONFIG, *words).stdout))

    assert {each["kind"] for each in documents} == {"ConfigMap", "Lease"}
    assert {each["metadata"]["namespace"] for each in documents} == {"default"}


def test_flags_overrule_the_file(run: Run, test_bed: Cluster) -> None:
    Path("auditor.yaml").write_text("images: {mirror: one.example.com}\nsandbox: {priority_class: low}\n")
    words = ("--probe", "nodes", "--dry-run", "--mirror", "two.example.com", "--agent-image", "agent:1")
    documents = list(yaml.safe_load_all(run("probe", "--kubeconfig", KUBECONFIG, *words).stdout))

    pods = [each for each in documents if each["kind"] == "Pod"]
    assert {each["spec"]["containers"][0]["image"] for each in pods} == {"two.example.com/agent:1"}
    assert {each["spec"]["priorityClassName"] for each in pods} == {"low"}


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_who_does_not_agree_gets_nothing(
    test_bed: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    monkeypatch.setattr("auditor.cli.probe._can_ask", lambda: True)
    before = run_namespaces(test_bed)
    words = ["probe", f"--kubeconfig={KUBECONFIG}", *ONLY_API, f"--output={tmp_path / 'bundle'}"]
    result = CliRunner().invoke(cli, words, input=answer)

    assert result.exit_code == (1 if answer else 130)  # nobody there: as after Ctrl-C
    assert "takes        about" in result.stderr
    assert "Go on? [y/N]" in result.stderr
    assert not (tmp_path / "bundle").exists()
    assert run_namespaces(test_bed) <= before


# --- the run


def test_what_was_read_and_what_was_observed_are_one_bundle(run: Run, test_bed: Cluster, tmp_path: Path) -> None:
    result = run("probe", "--kubeconfig", KUBECONFIG, *ONLY_API, "--yes", "-o", tmp_path / "bundle.tar.gz")

    assert result.exit_code == 0, result.output
    assert result.stdout == f"{tmp_path / 'bundle.tar.gz'}\n"
    assert "creates      4 ConfigMap, 1 Lease, 1 Namespace, 1 ResourceQuota" in result.stderr
    assert "probe api: running" in result.stderr
    assert "probe api: done in" in result.stderr
    judged = run("check", tmp_path / "bundle.tar.gz", "--select", "storage.default-class", "--format", "json")
    assert [each["status"] for each in json.loads(judged.stdout)["findings"]] == ["ok"]


def test_a_bundle_is_not_overwritten(run: Run, test_bed: Cluster, tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "file").touch()
    before = run_namespaces(test_bed)
    result = run("probe", "--kubeconfig", KUBECONFIG, *ONLY_API, "--yes", "-o", tmp_path / "bundle")

    assert result.exit_code == 1
    assert run_namespaces(test_bed) <= before


def test_what_the_account_may_not_do_is_told_in_the_bundle(run: Run, test_bed: Cluster, tmp_path: Path) -> None:
    result = run("probe", "--kubeconfig", AUDIT_KUBECONFIG, *ONLY_API, "--yes", "-o", tmp_path / "bundle")

    assert result.exit_code == 0, result.output
    files = {each.path: each for each in manifest(tmp_path / "bundle").files}
    document = files[ApiObservations.part_id]
    assert (document.status, document.reason) == ("forbidden", "the account may not list nodes")
    assert "list nodes" in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order(test_bed: Cluster, tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    before = run_namespaces(test_bed)
    command = [
        "env",
        "--default-signal=INT",  # a shell starts what runs in its background with Ctrl-C ignored
        *(sys.executable, "-m", "auditor", "probe", f"--kubeconfig={KUBECONFIG}", *ONLY_API, "--yes"),
        f"--output={folder / 'bundle'}",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        own = wait_for("the run's namespace", lambda: run_namespaces(test_bed) - before, poll_seconds=0.1)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "Traceback" not in errors
    assert list(folder.iterdir()) == []
    assert not own & run_namespaces(test_bed)
