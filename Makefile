# Everything a newcomer needs: `make demo`, `make up`, `make test`. The environment makes itself.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV ?= .venv
BIN := $(VENV)/bin
export CT_HOME ?= .ct

# The first Python from 3.11 to 3.13 that really runs; override with `make PYTHON=...`.
PYTHON ?= $(shell for p in python3.12 python3.13 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)

help: ## Say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1|/' | column -t -s '|'

# The lock holds every package with its hash; --no-deps keeps out what an override left out (see pyproject.toml).
$(BIN)/.installed: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 found: install one, or say make PYTHON=/path/to/python"; exit 1; }
	@echo "Creating $(VENV) with $$($(PYTHON) --version): about 2 GB, a few minutes, once"
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

install: $(BIN)/.installed ## Create the environment from the lock

demo: $(BIN)/.installed ## The loop, once around: DATA=file DAYS=n SEED=n are optional
	$(BIN)/ct demo $(if $(DATA),--data $(DATA)) $(if $(DAYS),--days $(DAYS)) $(if $(SEED),--seed $(SEED))

up: $(BIN)/.installed ## Dagster, MLflow and the service together on loopback; Ctrl-C ends all
	$(BIN)/ct up

test: $(BIN)/.installed ## All tests
	$(BIN)/python -m pytest -n 2 --dist loadgroup

test-fast: $(BIN)/.installed ## The tests that start no whole processes
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not slow"

lint: $(BIN)/.installed ## Style, types and import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(BIN)/.installed ## Every benchmark, whole
	@for module in $$(ls benchmarks/*.py | grep -v '/_' | xargs -n1 basename | sed 's/\.py$$//'); do \
		echo "== $$module"; $(BIN)/python -m benchmarks.$$module || exit 1; done

lock: ## Resolve pyproject.toml into requirements.lock (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --extra dev pyproject.toml -o requirements.lock

clean: ## Remove the environment and all state under CT_HOME
	rm -rf $(VENV) $(CT_HOME)

.PHONY: help install demo up test test-fast lint bench lock clean
