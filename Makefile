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

# What needs no engine and one thread runs on all cores, the longest first; the rest takes the
# machine for itself.
PYTEST := HF_HUB_OFFLINE=1 $(BIN)/python -m pytest
SIDE_BY_SIDE := \
  $(patsubst %,tests/fault/test_%.py,jobs jobs_random_kills training_faults jobs_workers database) \
  $(patsubst %,tests/integration/test_%.py,kept_epochs preference worker processes plan files_api \
    pretrain jobs_command watch webhooks library_api) \
  $(patsubst %,tests/browser/test_scripted_%.py,train play train_trouble trouble compare) \
  tests/unit
FIRST := OMP_NUM_THREADS=1 $(PYTEST) -n auto --dist loadfile --no-loadscope-reorder $(SIDE_BY_SIDE)
REST := $(PYTEST) tests $(addprefix --ignore=,$(SIDE_BY_SIDE))

test: $(DEV_INSTALLED) check
	$(FIRST) -m "not long" $(ARGS)
	$(REST) -m "not long" $(ARGS)

test-all: $(DEV_INSTALLED) check
	$(FIRST) $(ARGS)
	$(REST) $(ARGS)

check: $(DEV_INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

BENCHES := $(patsubst %,bench/%.py,base corpus lora_ops plan pretrain service serving train)
bench: $(DEV_INSTALLED)
	for script in $(BENCHES); do HF_HUB_OFFLINE=1 $(BIN)/python $$script --quick || exit 1; done

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
