# make run, make test: set up what they need, on a fresh machine with Python 3.11+ and pip; a second run starts at once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
RUN_READY := $(VENV)/.ready-run
DEV_READY := $(VENV)/.ready-dev

.DELETE_ON_ERROR:
.PHONY: run setup test check docs bench soak requirements clean
.DEFAULT_GOAL := run

# Twelve hours of the simulated market in three minutes.
run: $(RUN_READY)
	@$(BIN)/flatbook run --hours 12 --pace 240x --open

setup: $(DEV_READY)

test: $(DEV_READY)
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

check: $(DEV_READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

docs: $(DEV_READY)
	@$(BIN)/python -m docs.pages

bench: $(DEV_READY)
	@$(BIN)/python -m bench

soak: $(DEV_READY)
	@$(BIN)/python -m pytest -m soak --timeout=0
	@$(BIN)/python -m pytest --hypothesis-profile=default

requirements:
	@uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 --extra build pyproject.toml -o requirements.txt
	@uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 --extra build --extra dev pyproject.toml -o requirements-dev.txt

clean:
	rm -rf $(VENV) runs .benchmarks .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "flatbook needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(RUN_READY): requirements.txt pyproject.toml | $(BIN)/python
	@echo "installing flatbook and what it needs into $(VENV) (once, some minutes on a slow line)"
	@$(PIP) --require-hashes -r requirements.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV_READY): requirements-dev.txt $(RUN_READY)
	@echo "installing the development tools into $(VENV) (once)"
	@$(PIP) --require-hashes -r requirements-dev.txt
	@touch $@
