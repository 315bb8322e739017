"""The live experiments, one module per area. Installed as ``auditor.checks.probes``."""
