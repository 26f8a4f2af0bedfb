# FauScan. `make demo` shows it, `make test` checks it; both set up .venv on their first run.
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
UV_VERSION := 0.13.9
ARCHIVE ?=
DEMO ?= demo

.PHONY: setup demo test lint bench clean help

help:
	@echo "make setup   install everything into .venv (Python 3.11 or 3.12)"
	@echo "make demo    label a small archive and write a report; ARCHIVE=/some/folder takes your own videos"
	@echo "make test    run the tests"
	@echo "make lint    ruff, mypy, import contracts"
	@echo "make bench   measure, and write benchmarks/*.json"
	@echo "make clean   remove the demo; .venv stays"

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@set -e; found=; \
	for python in python3 python3.12 python3.11 python; do \
	  if $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' >/dev/null 2>&1; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then echo "make: no Python 3.11 or 3.12 on PATH; install one (Debian: apt install python3 python3-venv)" >&2; exit 1; fi; \
	if [ ! -x $(BIN)/python ]; then \
	  $$found -m venv $(VENV) || { echo "make: '$$found -m venv' failed; on Debian: apt install python3-venv" >&2; rm -rf $(VENV); exit 1; }; \
	fi
	@$(BIN)/python -m pip install -q --disable-pip-version-check "uv==$(UV_VERSION)"
	@echo "Installing FauScan and what it needs into $(VENV) ..."
	@$(BIN)/uv pip install -q --python $(BIN)/python -c constraints.txt -e ".[dev]"
	@touch $(STAMP)

demo: $(STAMP)
	@$(BIN)/fauscan demo $(DEMO) $(if $(ARCHIVE),--archive "$(ARCHIVE)")

test: $(STAMP)
	@$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(STAMP)
	@for script in benchmarks/*.py; do echo "$$script"; $(BIN)/python $$script || exit 1; done

clean:
	rm -rf demo out build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
