"""What all tests share: the fixtures of the test bed."""

from tests.testbed.fixtures import (
    cluster,
    fault,
    fresh_namespace,
    pytest_collection_modifyitems,
    pytest_terminal_summary,
    test_bed,
)

__all__ = [
    "cluster",
    "fault",
    "fresh_namespace",
    "pytest_collection_modifyitems",
    "pytest_terminal_summary",
    "test_bed",
]
