"""The built-in checks, one module per area. Installed as ``auditor.checks``."""
