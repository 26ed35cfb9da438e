# karyoflow: `make help` lists what there is to do.
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3.14 python3; do $$name -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
VENV   := .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo test coverage lint format-check format types floors dependencies train-setup up clean lock

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  \033[1mmake %-12s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "karyoflow needs Python 3.11 or newer; set PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-run: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[cpu,embedded]'
	@touch $@

$(VENV)/.installed-%: pyproject.toml constraints.txt $(VENV)/.installed-run
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[cpu,embedded,$*]'
	@touch $@

setup: $(VENV)/.installed-run ## Build .venv with everything karyoflow needs to run

demo: setup ## Simulate three small cases, karyotype them through the whole stack, compare with the truth
	$(BIN)/karyo demo

test: $(VENV)/.installed-dev lint ## Run every check and test: format, lint, types, floors, tests
	$(BIN)/pytest --numprocesses=auto --dist=loadfile

coverage: $(VENV)/.installed-dev ## Run the tests with line coverage
	$(BIN)/pytest --numprocesses=auto --dist=loadfile --cov --cov-report=term:skip-covered

lint: format-check types floors dependencies

format-check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: $(VENV)/.installed-dev ## Format the code and mend what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.installed-dev ## Type-check with mypy
	$(BIN)/mypy

floors: $(VENV)/.installed-dev ## Check that rooms import only from floors below them
	$(BIN)/lint-imports

dependencies: $(VENV)/.installed-dev ## Check that what is imported is declared, and the other way round
	$(BIN)/deptry .

train-setup: $(VENV)/.installed-train ## Add what training needs (torch)

up: setup ## Run everything on this machine in the foreground
	$(BIN)/karyo up

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache

lock: ## Refresh constraints.txt with the newest versions that pyproject.toml allows; the GPU's are kept
	@rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet --disable-pip-version-check '.[cpu,embedded,fhir,pdf,traces,train,dev]'
	@{ echo "# Exact versions that karyoflow is tested with; refresh with: make lock"; \
	   build/lock/bin/pip freeze --exclude karyoflow | sed 's/+cpu$$//'; sed -n '/^# GPU/,$$p' constraints.txt; } > build/constraints.txt
	@mv build/constraints.txt constraints.txt && rm -rf build/lock
