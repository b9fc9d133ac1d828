# Two commands matter: `make serve` and `make test`. Both set up what they need, once, into .venv:
# with uv where it is installed, with venv and pip where it is not.
VENV ?= .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
UV := $(shell command -v uv 2>/dev/null)

# Tests are shared out over the cores, four at most.
SHARED := -n auto --maxprocesses 4 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help serve test fuzz bench load soak accuracy lint oracle clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

serve: $(VENV)/.serve ## set up and serve on HOST [127.0.0.1] and PORT [5000]
	@$(BIN)/python server.py

test: $(VENV)/.dev ## set up and run the tests
	@$(BIN)/python -m pytest -q $(SHARED)

fuzz: $(VENV)/.dev ## draw new configurations, logs, files and requests, other ones in each run
	@HYPOTHESIS_PROFILE=searching $(BIN)/python -m pytest -q $(SHARED) -m '' tests/architecture/test_fuzz.py \
		tests/api/test_fuzz.py tests/api/test_contract.py tests/registry/test_safetensors.py \
		tests/registry/test_gguf.py tests/registry/test_gguf_config.py tests/api/test_sequences.py

bench: $(VENV)/.dev ## processor time of each path, beside a bare Flask echo
	@$(BIN)/python -m bench

load: $(VENV)/.dev ## requests a second under gunicorn, beside a bare Flask echo
	@$(BIN)/python -m bench.load

soak: $(VENV)/.dev ## a million varied requests: no error, and memory that stays flat
	@$(BIN)/python -m bench.soak

accuracy: $(VENV)/.serve ## our error on published measurements, and the report that the service shows
	@$(BIN)/python scripts/accuracy.py
	@$(BIN)/python scripts/accuracy_speed.py

lint: $(VENV)/.dev ## ruff, mypy, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

oracle: $(VENV)-oracle/.done ## compare with the real implementations (needs torch: a large environment)
	@$(VENV)-oracle/bin/python -m pytest -q -o addopts= tests/oracles

clean: ## forget the environments and caches
	rm -rf $(VENV) $(VENV)-oracle .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	@test -n "$(UV)$(PYTHON)" || { echo "Python 3.11 or newer is needed."; exit 1; }
ifneq ($(UV),)
	@$(UV) venv --quiet --python ">=3.11" $(VENV)
else
	@$(PYTHON) -m venv $(VENV)
endif

ifneq ($(UV),)
INSTALL = $(UV) pip install --quiet --python $(1)/bin/python
else
INSTALL = $(1)/bin/python -m pip install --quiet --disable-pip-version-check
endif

$(VENV)/.serve: $(VENV)/bin/python pyproject.toml
	@$(call INSTALL,$(VENV)) -e .
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml
	@$(call INSTALL,$(VENV)) -e ".[dev]"
	@touch $@ $(VENV)/.serve

$(VENV)-oracle/.done: pyproject.toml tests/oracles/requirements.txt
	@$(MAKE) --no-print-directory VENV=$(VENV)-oracle $(VENV)-oracle/.dev
	@$(call INSTALL,$(VENV)-oracle) -r tests/oracles/requirements.txt
	@touch $@
