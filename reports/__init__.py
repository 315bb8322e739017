"""The built-in reports, one module or package per format. Installed as ``auditor.reports``."""
