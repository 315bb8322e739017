# Two commands matter: `make run` shows what auditor says, `make test` proves that it works.
# Everything lives in .venv; nothing outside this folder is touched, pip's own cache excepted.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell .ci/find-python)

.PHONY: help run test test-probes testbed lint docs bench lock clean

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or newer is needed; on Debian or Ubuntu: apt-get install python3 python3-venv" >&2; exit 1; }
	@echo "Creating $(VENV) with $(PYTHON)" >&2
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "error: no virtual environment; on Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.installed: pyproject.toml requirements-dev.txt | $(BIN)/python
	@echo "Installing auditor into $(VENV)" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements-dev.txt --editable .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@echo "Installing what tests and linters need into $(VENV)" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@touch $@

run: $(VENV)/.installed ## Audit the current kubeconfig context, or the example cluster where there is none
	@if $(BIN)/python -c 'from kubernetes import config; config.list_kube_config_contexts()' 2>/dev/null; then \
		bundle="auditor-results/bundles/$$(date -u +%Y%m%dT%H%M%SZ)"; \
		$(BIN)/auditor collect --output "$$bundle" && \
		$(BIN)/auditor check "$$bundle" --output-dir auditor-results --exit-zero; \
	else \
		$(BIN)/auditor demo; \
	fi

test: $(VENV)/.installed-dev ## Run all tests
	@$(BIN)/python -m tests.testbed packages
	@echo "Tests that need no cluster" >&2
	@$(BIN)/pytest --numprocesses auto -m "not cluster" $(PYTEST_ARGS)
	@echo "Tests on a real cluster, one after another" >&2
	@$(BIN)/pytest -m "cluster and not probes" --randomly-dont-reorganize $(PYTEST_ARGS)

test-probes: $(VENV)/.installed-dev ## Run the tests of the live probes on a real cluster, which take a quarter of an hour
	@$(BIN)/python -m tests.testbed packages
	@$(BIN)/pytest -m "cluster and probes" --randomly-dont-reorganize $(PYTEST_ARGS)

testbed: $(VENV)/.installed-dev ## Start a real cluster on this machine, for the tests
	@$(BIN)/python -m tests.testbed packages
	@$(BIN)/python -m tests.testbed up

lint: $(VENV)/.installed-dev ## Check format, style, types, import layers and generated documents
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy auditor
	@$(BIN)/mypy checks benchmarks reports
	@$(BIN)/mypy tests docs/generate
	@$(BIN)/lint-imports
	@for generator in docs/generate/*.py; do $(BIN)/python $$generator --check || exit 1; done

docs: $(VENV)/.installed-dev ## Write the generated documents anew
	@for generator in docs/generate/*.py; do $(BIN)/python $$generator || exit 1; done

bench: $(VENV)/.installed-dev ## Measure auditor itself, as ratios within one run (BENCH_ARGS=--large: 100,000 pods too)
	@$(BIN)/python -m tests.bench.run
	@$(BIN)/python -m tests.testbed packages
	@$(BIN)/python -m tests.bench.collect $(BENCH_ARGS)

lock: $(VENV)/.installed-dev ## Pin what pyproject.toml asks for
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --group dev pyproject.toml -o requirements-dev.txt

clean: ## Remove the virtual environment, caches and results
	@rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache auditor-results
