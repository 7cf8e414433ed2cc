# make demo                 set-up, then the main job (ARGS=--check for a self-test)
# make test                 set-up, then all tests but the long ones
# make test-all             with the long ones
# make check                lint and types
# make bench                every benchmark, short form
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
SETUP := scripts/setup.sh
INSTALLED := $(VENV)/.installed
DEV_INSTALLED := $(VENV)/.installed-dev

export HF_HUB_DISABLE_TELEMETRY := 1

.PHONY: setup demo test test-all check bench clean

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml $(SETUP)
	$(SETUP)
	@touch $@

$(DEV_INSTALLED): pyproject.toml $(SETUP)
	$(SETUP) dev
	@touch $(INSTALLED) $@

demo: $(INSTALLED)
	$(BIN)/lmft demo $(ARGS)

test: $(DEV_INSTALLED) check
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -m "not long" $(ARGS)

test-all: $(DEV_INSTALLED) check
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest $(ARGS)

check: $(DEV_INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(DEV_INSTALLED)
	for script in bench/[a-z]*.py; do HF_HUB_OFFLINE=1 $(BIN)/python $$script --quick || exit 1; done

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
