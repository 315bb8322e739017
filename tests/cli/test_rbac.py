"""`auditor rbac`: what it prints can be applied, and suffices for `auditor collect`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import Result

Run = Callable[..., Result]

NAMED = '''
from collections.abc import Iterator
from auditor import Facts, Finding, Severity, check, named
from auditor.facts.kube import ConfigMap


@check(
    "own.dns",
    title="Has a Corefile",
    severity=Severity.HIGH,
    reads=(named(ConfigMap, "coredns", namespace="kube-system"),),
)
def dns(facts: Facts) -> Iterator[Finding]:
    """Has a Corefile."""
    yield Finding.ok("it has")
'''


def test_what_is_printed_is_yaml_of_roles_and_bindings(run: Run) -> None:
    result = run("rbac")

    assert result.exit_code == 0
    kinds = [document["kind"] for document in yaml.safe_load_all(result.stdout)]
    assert kinds[:2] == ["ClusterRole", "ClusterRoleBinding"]


def test_a_check_of_ones_own_that_reads_one_object(run: Run, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(NAMED)
    result = run("rbac", "--checks-dir", tmp_path, "--select", "own.*", "--service-account", "audit/reader")

    assert result.exit_code == 0, result.output
    documents = list(yaml.safe_load_all(result.stdout))
    (role,) = (document for document in documents if document["kind"] == "Role")
    assert role["metadata"]["namespace"] == "kube-system"
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["coredns"], "verbs": ["get"]}
    ]
    (binding,) = (document for document in documents if document["kind"] == "RoleBinding")
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "reader", "namespace": "audit"}]


@pytest.mark.parametrize("account", ["reader", "/reader", "audit/", ""])
def test_an_account_needs_a_namespace_and_a_name(run: Run, account: str) -> None:
    result = run("rbac", "--service-account", account)

    assert result.exit_code == 2
    assert "NAMESPACE/NAME" in result.stderr


def test_a_selection_that_matches_nothing_is_an_error(run: Run) -> None:
    assert run("rbac", "--select", "no-such-check").exit_code == 2
