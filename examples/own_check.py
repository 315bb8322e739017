"""A check of one's own: every node says who pays for it.

Run it with ``auditor check BUNDLE --checks-dir examples``.
"""

from collections.abc import Iterator
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, check, threshold
from auditor.facts.kube import Node


class CostCentreParameters(Parameters, frozen=True, kw_only=True):
    """What a site can set in auditor.yaml."""

    label: Annotated[
        str,
        threshold("Label that names a node's cost centre.", source="The site's labelling rules."),
    ] = "example.com/cost-centre"


@check(
    "site.cost-centre",
    title="Every node names its cost centre",
    severity=Severity.LOW,
    reads=(Node,),
)
def cost_centre(facts: Facts, params: CostCentreParameters) -> Iterator[Finding]:
    """Nodes are charged to the team whose cost centre they name.

    ## What it checks
    Every node carries the label `example.com/cost-centre` (another one with the parameter `label`) with a value.

    ## Why it matters
    What no cost centre owns, nobody scales down.

    ## How to fix
    Set the label in the node pool's definition, so that new nodes carry it too.

    ## References
    - [Labels and selectors](https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/)
    """
    nodes = facts.list(Node)
    if not nodes:
        yield Finding.skip("The cluster has no nodes.")
        return
    if without := [node.subject for node in nodes if not node.labels.get(params.label)]:
        yield Finding.fail(
            f"{len(without)} of {len(nodes)} nodes lack a value for the label {params.label}.",
            subjects=without,
            fix="Set the label in the definition of the node pool.",
            command=f"kubectl label node NODE {params.label}=VALUE",
        )
    else:
        yield Finding.ok(f"All {len(nodes)} nodes carry the label {params.label}.")
