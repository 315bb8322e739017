"""A recorded cluster for `auditor demo`. Installed as ``auditor.examples``."""
