# Everything VoxQL needs is installed in this folder: .venv, .cache, node_modules, var.
# Each step has a stamp file, so it is repeated only when its inputs change.

SHELL := /bin/sh
MAKEFLAGS += --no-print-directory
.NOTPARALLEL:
.PRECIOUS: %/node_modules/.installed
.SECONDEXPANSION:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

BEGAN := $(shell date +%s)
BIN := .venv/bin
UV := $(BIN)/python scripts/uv.py
STAMPS := .venv/stamps

# Caches stay in the clone too, unless the environment already names their places.
export UV_CACHE_DIR ?= $(CURDIR)/.cache/uv
export PIP_CACHE_DIR ?= $(CURDIR)/.cache/pip
export npm_config_cache ?= $(CURDIR)/.cache/npm
# So does compiled Python. Without it, every program that the tests start compiles its packages anew.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX ?= $(CURDIR)/.cache/pycache

# Folders with a package.json: installed, and built if they have a build. `make test` adds its own.
PAGES := $(patsubst %/package.json,%,$(wildcard frontend/package.json frontend/*/package.json))
TEST_PAGES := $(patsubst %/package.json,%,$(wildcard tests/package.json tests/*/package.json tests/*/*/package.json))
# Lighthouse, which only `make soak` needs.
SOAK_PAGES := tests/browser

# Two processes for real-time tests, and two low-priority ones for the rest (tests/scheduling.py).
BESIDE_EACH_OTHER := --numprocesses 4 --dist loadfile --no-loadscope-reorder

# A virtual environment can't be moved: make a new one if this folder was moved.
MOVED := $(filter-out $(CURDIR),$(shell cat .venv/place 2>/dev/null))

.PHONY: help setup dev-tools serve serve-cluster dev test check bench soak pins clean again early

help: ## Show this list
	@echo "VoxQL: the GraphQL backend for voice agents"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMPS)/python $(STAMPS)/speech $(PAGES:%=%/node_modules/.built) ## Install everything into this folder and build; starts nothing
	@cat $(STAMPS)/speech 2>/dev/null || true
	@$(if $(filter setup,$(MAKECMDGOALS)),echo "Everything is set up; 'make serve' starts it.",:)

serve: setup ## Set up, then start the server and its agent (Ctrl-C ends both)
	@$(BIN)/voxql serve $(ARGS)

serve-cluster: setup ## Two servers behind nginx, with PostgreSQL, Redis and LiveKit, on this machine
	@scripts/serve-cluster

dev: setup dev-tools ## The same, with a page that reloads, and again whenever the code changes
	@scripts/dev $(ARGS)

test: setup dev-tools $(patsubst %,%/node_modules/.built,$(filter-out $(SOAK_PAGES),$(TEST_PAGES))) ## Run the tests (ARGS="-k word" for some), after bringing up what they need
	@scripts/system-packages
	@# Only tests that need it wait for the build.
	@scripts/livekit-server early || [ "$${CI:-}" != true ]
	$(BIN)/pytest $(if $(ARGS),$(ARGS),$(BESIDE_EACH_OTHER) --durations 10)
	@echo "==> make test took $$(($$(date +%s) - $(BEGAN))) s, with what it installed"

check: $(if $(filter true,$(CI)),early) dev-tools $(PAGES:%=%/node_modules/.installed) ## What CI checks before the tests: format, lint, types, direction of imports, the page's own tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	@# Run all at once: each takes up to half a minute of one processor. Collecting the tests checks
	@# that they can be run, and leaves them compiled for make test.
	@$(BIN)/mypy & types=$$!; \
	$(BIN)/pytest --collect-only -q >.cache/tests.log 2>&1 & tests=$$!; \
	$(foreach page,$(PAGES),npm --prefix $(page) run --if-present check &&) true; pages=$$?; \
	wait $$tests || { cat .cache/tests.log; pages=1; }; \
	wait $$types && exit $$pages
	@echo "==> make check took $$(($$(date +%s) - $(BEGAN))) s, with what it installed"

# In CI, the tests come next: start the build that they need, which takes minutes, early.
early:
	@scripts/livekit-server early || true

bench: setup dev-tools ## Measure the hot path on this machine
	$(BIN)/python -m bench $(ARGS)

soak: setup dev-tools $(TEST_PAGES:%=%/node_modules/.built) ## What measures, and what takes minutes: lag, memory, crowds, long conversations
	@scripts/system-packages
	@scripts/livekit-server
	$(BIN)/pytest -m soak --timeout 3600 $(ARGS)

pins: dev-tools ## Write requirements/*.txt anew after a change of pyproject.toml (UPGRADE=1: newest versions)
	@UPGRADE=$(UPGRADE) scripts/pins

clean: ## Delete what was installed and built here; keeps var/, your data
	rm -rf .venv .cache build dist $(PAGES:%=%/node_modules) $(TEST_PAGES:%=%/node_modules)

dev-tools: $(STAMPS)/dev $(STAMPS)/bridge

again:

$(BIN)/python: $(if $(MOVED),again)
	@python=$$(scripts/find-python) && echo "==> Making .venv with $$("$$python" --version)" && "$$python" -m venv --clear .venv
	@pwd > .venv/place

$(STAMPS)/bootstrap: requirements/bootstrap.txt | $(BIN)/python
	@echo "==> Installing the installer (uv)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/python: $(STAMPS)/bootstrap requirements/agent.txt pyproject.toml
	@echo "==> Installing the server and the agent"
	@$(UV) pip install --require-hashes -r requirements/agent.txt
	@$(UV) pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(STAMPS)/speech: $(STAMPS)/bootstrap requirements/recogniser.txt requirements/voice.txt
	@echo "==> Installing the speech packages"
	@scripts/speech $@

$(STAMPS)/dev: $(STAMPS)/python requirements/dev.txt
	@echo "==> Installing what checks and tests need"
	@$(UV) pip install --require-hashes -r requirements/dev.txt
	@touch $@

# The package for integrators, built as they get it; examples and tests import it from there.
$(STAMPS)/bridge: $(STAMPS)/dev $(wildcard clients/python/*) $(wildcard agent_bridge/attaching/*.py agent_bridge/protocol/*.py agent_bridge/*client*.py)
	@$(UV) pip install --quiet --no-deps --no-build-isolation --reinstall-package voxql-bridge ./clients/python
	@touch $@

%/node_modules/.installed: %/package.json $$(wildcard $$*/package-lock.json)
	@scripts/need-node
	@echo "==> Installing the packages of $*"
	@cd $* && npm ci --no-fund --no-audit
	@touch $@

%/node_modules/.built: %/node_modules/.installed $$(shell find $$* \( -name node_modules -o -name dist \) -prune -o -type f -print)
	@echo "==> Building $*"
	@cd $* && npm run build --if-present
	@touch $@
