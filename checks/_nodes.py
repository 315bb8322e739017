"""The nodes that data systems run on, for all areas."""

from __future__ import annotations

from auditor import Facts, Finding
from auditor.facts.kube import Node

from ._wording import counted


def data_nodes(facts: Facts) -> list[Node]:
    """The nodes on which an ordinary pod can run, by name."""
    return sorted((node for node in facts.list(Node) if node.takes_ordinary_pods), key=lambda node: node.name)


def no_data_nodes(facts: Facts) -> Finding:
    """The finding when no node takes an ordinary pod."""
    return Finding.unknown(
        f"No node takes ordinary pods ({counted(len(facts.list(Node)), 'node')}, all cordoned or tainted), "
        "so it cannot be told from where volumes must be reachable.",
        fix="Collect again when the nodes for data are schedulable.",
    )
