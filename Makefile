# `make demo` and `make test` need nothing but Python 3.11, make and a compiler for the benchmarks' C peers.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# The stamp is renewed when the requirements change, so the environment is made once and found again at once.
STAMP := $(VENV)/.installed

# PyTorch is large and optional: only what asks for it installs it.
TORCH := $(VENV)/.torch

# The tools that check the page's JavaScript, at the versions of the lock file; nothing else needs Node.
NODE := node_modules/.installed

.PHONY: demo test check bench docs clean env torch
.DEFAULT_GOAL := help

help:
	@echo "make demo    create the environment, run the main job, show the report"
	@echo "make test    the tests        make check   lint, types, import contracts, the page's JavaScript (needs Node)"
	@echo "make torch   add PyTorch, for networks; the tests of networks then run with the others"
	@echo "make bench   measure speed and memory against named peers"

env: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

torch: $(TORCH)

$(TORCH): $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	touch $@

demo: $(STAMP)
	$(BIN)/eoslab demo

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadgroup

$(NODE): package.json package-lock.json
	@node -e 'process.exit(process.versions.node.split(".")[0] >= 18 ? 0 : 1)' && command -v npm >/dev/null || \
	  { echo "make check needs Node 18.18 or newer with npm, for the page's JavaScript." >&2; exit 1; }
	npm ci --loglevel=error --no-audit --no-fund --no-update-notifier
	touch $@

check: $(STAMP) $(NODE)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	npm run --silent check

bench: $(STAMP)
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf $(VENV) node_modules .pytest_cache .mypy_cache .ruff_cache
