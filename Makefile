# The commands of this repository; `make` alone lists them.
#
# Everything Python lives in .venv, with the exact versions of constraints.txt. Stamp files make
# repeated calls quick: an installation runs again only when the file that lists it has changed.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python -m
PIP := $(RUN) pip --disable-pip-version-check --quiet
CLIENT := src/reddot/static/reddot.js
CACHES := .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
# Most tests wait for browsers and servers. A file's tests share those, so they stay together; files
# come in the order of their names, which has those that take long first.
PROCESSES ?= 2
PARALLEL := --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder
TOGETHER := $(MAKE) --no-print-directory --jobs 2 --keep-going --output-sync=target
FAST := $(wildcard $(addprefix tests/,unit sim contract wire architecture))
# PACKAGE=COMMAND: what the tests need besides Python.
PACKAGES := chromium=chromium firefox-esr=firefox-esr nginx-light=nginx curl=curl nodejs=node npm=npm \
	mosquitto-clients=mosquitto_pub webkit2gtk-driver=WebKitWebDriver xvfb=Xvfb

.PHONY: help setup js demo test test-fast check style types layers bench packages clean js-test

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## Make .venv with Reddot and all tools in it

js: $(CLIENT) ## Build the browser client, and what is served beside it

demo: setup ## Start a server with a demo page on this machine, no questions asked
	$(VENV)/bin/reddot demo

# A failed check does not hide what the tests say; either fails the whole.
test: packages ## Install what tests need, check, run every test
	@$(TOGETHER) setup js tests/node/node_modules/.installed
	@failed=0; $(TOGETHER) types style layers js-test || failed=1; \
	$(RUN) pytest $(PARALLEL) || failed=1; exit $$failed

test-fast: setup js-test ## Run the tests that need neither network nor browser
	$(RUN) pytest $(PARALLEL) $(FAST)

check: ## Check format, style, types, layers, tidiness and spelling
	@$(TOGETHER) types style layers

types: setup ## Check the types of Python
	$(RUN) mypy

style: setup js/node_modules/.installed ## Check format, style, spelling, and the types of JavaScript
	$(VENV)/bin/ruff format --check --quiet
	$(VENV)/bin/ruff check --quiet
	$(VENV)/bin/codespell
	npm --prefix js run --silent check

layers: setup ## Check layers and tidiness
	$(VENV)/bin/lint-imports --no-logo
	$(RUN) pytest -q tests/architecture/test_tidy.py

js-test: js
	npm --prefix js test --silent

bench: setup ## Measure this machine; BENCH="name ..." chooses
	$(RUN) bench $(BENCH)

clean: ## Remove caches, built files and npm packages; .venv stays
	rm -rf $(CACHES) build dist tests/node/node_modules js/node_modules js/types $(CLIENT:.js=*.js)
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

packages:
	@scripts/install_packages.sh $(PACKAGES)

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed; choose one with: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
	  scripts/install_packages.sh python3-venv=no-such-command
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --constraint constraints.txt --upgrade pip
	$(PIP) install --constraint constraints.txt --build-constraint constraints.txt \
	  --editable '.[apprise]' --group test --group check
	@touch $@

$(CLIENT): js/node_modules/.installed js/build.js js/served.js js/whole.js $(wildcard js/src/*.js js/src/element/*.js js/src/element/inside/*.js js/src/push/*.js js/src/transports/*.js)
	node js/build.js $@

js/node_modules/.installed: js/package.json js/package-lock.json
	@scripts/install_packages.sh nodejs=node npm=npm
	npm --prefix js ci --silent --no-audit --no-fund
	@touch $@

tests/node/node_modules/.installed: tests/node/package.json tests/node/package-lock.json
	npm --prefix tests/node ci --silent --no-audit --no-fund
	@touch $@
