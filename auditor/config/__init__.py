"""Configuration: auditor.yaml, AUDITOR_* and flags, resolved into settings that say where each value came from."""
