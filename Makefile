# Everything runs in $(VENV), which the first target that needs it makes. pip's own settings (PIP_*) apply.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

UNIT := not integration and not slow and not soak and not gpu
TEST := not slow and not soak and not gpu

# $(call step,NAME,COMMAND): run a command, then say how long it took.
step = @TIMEFORMAT="== $(1): %1R s"; time $(2)

.PHONY: help setup fix check static unit test test-gpu soak slow bench bench-gpu demo demo-model build clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(VENV)/.dev-installed ## Make .venv with everything that development needs (done once)

fix: setup ## Repair formatting and what the linter can repair
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check: setup ## Format, lint, types, imports, dead code, spelling, unit tests: under a minute
	$(call step,check,$(MAKE) --no-print-directory static unit)

static: setup
	$(call step,format,$(BIN)/ruff format --quiet --check .)
	$(call step,lint,$(BIN)/ruff check --quiet .)
	$(call step,types,$(BIN)/pyright --pythonpath $(BIN)/python)
	$(call step,imports,$(BIN)/lint-imports > /dev/null || $(BIN)/lint-imports)
	$(call step,dead code,$(BIN)/vulture)
	$(call step,spelling,$(BIN)/codespell)

unit: setup
	$(call step,unit tests,$(BIN)/python -m pytest --quiet -n 2 -m "$(UNIT)")

test: setup ## All of check, then the integration tests: exports, runs, kills, wheel; under 15 minutes
	$(call step,static checks,$(MAKE) --no-print-directory static)
	$(call step,tests,$(BIN)/python -m pytest -n 2 --dist loadfile -m "$(TEST)")

test-gpu: setup ## On an NVIDIA GPU, with ONNX Runtime's wheel for it: parity, strictness, flat memory
	$(BIN)/python -m pytest -o addopts=-ra -W default -m gpu tests/gpu

soak: setup ## Kill and repeat in the full numbers
	$(BIN)/python -m pytest -m soak

slow: setup ## Published sizes: gigabytes of memory, many minutes
	$(BIN)/python -m pytest -m slow

bench: setup ## Time and memory against PyTorch and a plain export
	$(BIN)/python -m benchmarks.run autoencoder

bench-gpu: setup ## Networks on an NVIDIA GPU beside PyTorch; it goes on where it was ended
	$(BIN)/python -m benchmarks.run gpu

demo: $(VENV)/.demo-installed ## The demo model, offline: reconstruct a photograph, generate, print the parity matrix
	$(BIN)/python -m recipes.demo.walkthrough --out demo

demo-model: setup ## Train the demo model and put it into the package: hours on two cores, restartable
	$(BIN)/python -m recipes.demo.train --folder demo-model

build: setup ## Build wheel and sdist into dist/
	$(BIN)/python -m build --no-isolation

clean: ## Remove what the other targets made, except .venv and demo-model
	rm -rf build dist demo *.egg-info .pytest_cache .hypothesis .ruff_cache .import_linter_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo-installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP_INSTALL) -e '.[export]' scikit-image
	@touch $@

$(VENV)/.dev-installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP_INSTALL) -e '.[dev]'
	@touch $@
