"""What all tests share: the fixtures of the test bed, and patience: no test fails for being slow."""

from hypothesis import HealthCheck, settings

from tests.testbed.fixtures import (
    cluster,
    fault,
    fresh_namespace,
    pytest_collection_modifyitems,
    pytest_terminal_summary,
    test_bed,
)

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

__all__ = [
    "cluster",
    "fault",
    "fresh_namespace",
    "pytest_collection_modifyitems",
    "pytest_terminal_summary",
    "test_bed",
]
