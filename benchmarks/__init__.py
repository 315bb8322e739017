"""The benchmarks that load a cluster, one package per system. Installed as ``auditor.benchmarks``."""
