# `make audit` and `make test` need Python 3.11 or later and nothing else: no Redis, no Docker,
# no model, no key.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
INSTALL := $(PIP) install --require-hashes --no-deps
ROUTER_VENV := .venv-router
ROUTER_BIN := $(ROUTER_VENV)/bin

.PHONY: audit up test unit lint types floors browser wheel check bench peers router-test \
  compose-test chaos lock clean help

help: ## Say what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

audit: $(VENV)/.runtime ## Diagnose this machine and print a report (ARGS="--html report.html")
	@$(BIN)/hostswarm audit $(ARGS)

up: $(VENV)/.runtime ## The whole fleet on this machine until Ctrl-C
	@$(BIN)/hostswarm up $(ARGS)

test: $(VENV)/.dev ## All rungs: unit, contract, integration, acceptance
	$(BIN)/python -m pytest $(ARGS)

unit: $(VENV)/.dev ## The quick rung alone
	$(BIN)/python -m pytest tests/unit $(ARGS)

browser: $(VENV)/.dev ## The report in a real browser
	$(BIN)/python -m pytest -m browser $(ARGS)

router-test: $(VENV)/.dev $(ROUTER_VENV)/.runtime ## A real LiteLLM Proxy in front of scripted models
	HOSTSWARM_TEST_ROUTER=$(abspath $(ROUTER_BIN)/hostswarm) $(BIN)/python -m pytest -m router tests/acceptance $(ARGS)

compose-test: $(VENV)/.dev ## The fleet in containers; needs Docker, see docs/compose.md
	HOSTSWARM_TEST_COMPOSE=1 $(BIN)/python -m pytest tests/compose $(ARGS)

chaos: $(VENV)/.dev ## A long round of faults, and its figures (ARGS="--parts 1200 --seed 7")
	$(BIN)/python -m tests.chaos $(ARGS)

lint: $(VENV)/.dev ## ruff, format included
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev ## pyright, strict, over code and tests
	$(BIN)/pyright --pythonpath $(BIN)/python

floors: $(VENV)/.dev ## Who may import whom
	$(BIN)/lint-imports

wheel: $(VENV)/.dev ## Build the wheel and check what it ships
	$(BIN)/python -m pytest tests/contract/test_wheel.py $(ARGS)

check: lint types floors test ## Everything that CI checks

bench: $(VENV)/.dev ## The figures of benchmarks/, each as a table
	$(BIN)/python -m benchmarks

peers: $(VENV)/.dev ## Agent frameworks beside ours; installs them first
	$(BIN)/python -m benchmarks peers

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed; say which with PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "venv is missing; on Debian: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.runtime: requirements.lock pyproject.toml | $(BIN)/python
	@$(INSTALL) -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --no-index --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	@$(INSTALL) -r requirements-dev.lock
	@touch $@

# LiteLLM Proxy is large and wants other versions of some packages: it has a place of its own.
$(ROUTER_VENV)/.runtime: requirements-router.lock pyproject.toml
	@test -x $(ROUTER_BIN)/python || $(PYTHON) -m venv $(ROUTER_VENV)
	@$(subst $(BIN),$(ROUTER_BIN),$(INSTALL)) -r requirements-router.lock
	@$(subst $(BIN),$(ROUTER_BIN),$(PIP)) install --no-deps --no-build-isolation --no-index --editable .
	@touch $@

# Names, versions and hashes only: no index address is written.
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
  --no-annotate --no-emit-index-url --no-emit-find-links pyproject.toml build.in

lock: ## Resolve the dependencies anew (needs uv)
	@echo 'setuptools>=77' > build.in
	$(LOCK) --extra flower -o requirements.lock
	$(LOCK) --extra flower --extra litellm --group dev -c requirements.lock -o requirements-dev.lock
	$(LOCK) --extra router -o requirements-router.lock
	@rm build.in

clean: ## Remove what was made
	rm -rf $(VENV) $(ROUTER_VENV) build dist *.egg-info
