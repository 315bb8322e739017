"""The command line: one file per command, no logic. :mod:`auditor.cli.main` imports a command when it is used."""
