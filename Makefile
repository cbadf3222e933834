# make run, make test: set up what they need and work on a fresh machine with Python 3.11+ and pip.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
RUN_READY := $(VENV)/.ready-run
DEV_READY := $(VENV)/.ready-dev

.PHONY: run setup test check bench soak docs requirements clean
.DEFAULT_GOAL := run

run: $(RUN_READY)
	@$(BIN)/flatbook run --pace 240x --hours 8 --open

setup: $(DEV_READY)

test: $(DEV_READY)
	@$(BIN)/python -m pytest

check: $(DEV_READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(DEV_READY)
	@$(BIN)/python -m bench

soak: $(DEV_READY)
	@$(BIN)/python -m pytest -m soak --timeout=0 -o addopts=

requirements:
	@uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 --extra build pyproject.toml -o requirements.txt
	@uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 --extra build --extra dev pyproject.toml -o requirements-dev.txt

clean:
	rm -rf $(VENV) runs .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "flatbook needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(RUN_READY): requirements.txt pyproject.toml | $(VENV)/bin/python
	@echo "installing flatbook's requirements into $(VENV) (once)"
	@$(PIP) --require-hashes -r requirements.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV_READY): requirements-dev.txt $(RUN_READY)
	@echo "installing the development tools into $(VENV) (once)"
	@$(PIP) --require-hashes -r requirements-dev.txt
	@touch $@
