"""What the test bed's own tests share."""

from tests.testbed.probe import probe

__all__ = ["probe"]
