# Everything a developer types. `make help` explains each target.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# Where pip looks for torch besides PyPI. On Linux PyPI's torch brings CUDA libraries of several gigabytes; the CPU
# build alone comes with TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
INDEX := $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
PYTEST := $(BIN)/python -m pytest -n 2 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all test-shapes fuzz web lint types fmt package bench results clean

help: ## Say what each target does.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' | awk -F'|' '{printf "  %-12s %s\n", $$1, $$2}'

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not installed. Install Python 3.11 or later, or name it: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than 3.11. Name a later one: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { echo "The venv module is missing. Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --upgrade pip

$(VENV)/.run: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt $(INDEX) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --constraint constraints.txt $(INDEX) --group dev
	@touch $@

setup: $(VENV)/.dev ## Make the virtual environment with everything that developing needs.

demo: $(VENV)/.run ## Run the main job: train on real digits, ask which units can go, cut, and write report.html.
	$(BIN)/surplus demo

test: lint types ## Check the house rules and run the fast tests.
	$(PYTEST) -m "not slow and not web and not gpu"

test-all: lint types ## Run every test, the slow ones too.
	$(PYTEST) -m "not web"

test-shapes: $(VENV)/.dev ## Run the tests of the numeric rooms with every annotated shape checked at run time.
	$(PYTEST) -m "not message and not slow and not web and not gpu" --jaxtyping-packages=surplus,beartype.beartype tests/units tests/masks tests/edits tests/passes tests/contracts tests/tasks

fuzz: $(VENV)/.dev ## Cut N random architectures (make fuzz N=5000), print the smallest that fail, and count refusals by reason.
	$(BIN)/python tests/generated/fuzz.py $(or $(N),1000) $(SEED)

web: $(VENV)/.dev ## Test the report in a real browser, offline; installs Debian's chromium where it is missing.
	@command -v "$${CHROMIUM:-chromium}" >/dev/null || { echo "Installing chromium"; apt-get update -q >/dev/null && apt-get install -yq chromium >/dev/null; } || { echo "chromium is missing and could not be installed. Install it, or name a browser: CHROMIUM=/path/to/chrome make web"; exit 1; }
	$(BIN)/python -m pytest -m web tests/web

lint: $(VENV)/.dev ## Check style, spelling, docstrings and the direction of imports.
	$(BIN)/ruff check src tests bench
	$(BIN)/ruff format --check --quiet src tests bench
	$(BIN)/codespell src tests bench decisions *.md
	$(BIN)/lint-imports --no-cache >/dev/null || $(BIN)/lint-imports --no-cache

types: $(VENV)/.dev ## Check types.
	$(BIN)/mypy

fmt: $(VENV)/.dev ## Format the code and mend what can be mended.
	$(BIN)/ruff check --fix --quiet src tests bench
	$(BIN)/ruff format src tests bench

package: $(VENV)/.dev ## Build wheel and sdist and try the wheel in an empty folder.
	$(BIN)/python tests/try_wheel.py

bench: $(VENV)/.dev ## Measure: exact ablation, the training loop, cutting, and measures, each beside what others do.
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group bench
	$(BIN)/python bench/ablation.py
	$(BIN)/python bench/loop.py
	$(BIN)/python bench/cutting.py
	$(BIN)/python bench/measures.py

results: $(VENV)/.dev ## Conduct every study at its default scale and write docs/results and the README's ledger.
	$(BIN)/python bench/studies.py

clean: ## Remove the virtual environment and what tools leave behind.
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
