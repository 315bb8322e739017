"""The result itself, for other programs; docs/result.schema.json describes it."""

from auditor import Medium, Result, report
from auditor.results import dump_result


@report("json", title="The whole result, for other programs", extension="json")
def json(result: Result, medium: Medium) -> str:  # noqa: ARG001  the same on every medium
    """The result as indented JSON."""
    return dump_result(result).decode()
