# make lab     open the notebooks in JupyterLab
# make test    unit tests and doctests, every notebook, the browser tests, the manual's links
# make check   format, lint, types, dead code, notebook outputs, layers, doctests
# make format  put code and notebooks into the form that `make check` asks for
# make docs    the manual with executed lessons, in docs/_build/html
# make bench   curvature and surfaces against public peers, about an hour alone on a machine; tables go to benchmarks/results
# make clean   remove everything that these commands made
#
# Each makes its own environment in .venv first, and again when pyproject.toml has changed.

PYTHON  ?= python3
# Any requirement and options that pip knows, such as the CPU-only build: see README.md.
TORCH ?= torch==2.13.0
WORKERS ?= 2
LAB_ARGS ?=

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help lab test check format docs bench clean

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest
NOTEBOOKS = $(wildcard notebooks/*.ipynb)
# Outputs stay only in cells tagged keep_output; counts stay because nbval takes a cell without one as not run.
SPHINX := $(BIN)/python -m sphinx -q -b html
NBSTRIPOUT := $(BIN)/nbstripout --keep-count --keep-id

help:
	@sed -n '/^# make/s/^# //p' Makefile

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "diagkit needs Python 3.11 or newer: make PYTHON=/path/to/python3")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(TORCH)
	$(BIN)/python -m pip install -e '.[lab,test,dev,docs]'
	@touch $@

lab: $(STAMP)
	$(BIN)/diagkit lab $(LAB_ARGS)

test: $(STAMP)
	$(PYTEST) -n $(WORKERS) -m "not browser"
ifneq ($(NOTEBOOKS),)
	$(PYTEST) -n $(WORKERS) --dist loadfile --nbval-lax --nbval-current-env --nbval-cell-timeout=120 \
	  --nbval-sanitize-with tests/nbval_sanitize.cfg notebooks
endif
	$(PYTEST) -m browser -rs tests
	DOCS_EXECUTE=off $(SPHINX) -W --keep-going docs docs/_build/links

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/vulture
ifneq ($(NOTEBOOKS),)
	$(NBSTRIPOUT) --verify $(NOTEBOOKS)
endif
	$(PYTEST) tests/test_architecture.py tests/test_environment_sync.py diagkit docs/_ext

docs: $(STAMP)
	$(SPHINX) docs docs/_build/html

format: $(STAMP)
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
ifneq ($(NOTEBOOKS),)
	$(NBSTRIPOUT) $(NOTEBOOKS)
endif

bench: $(STAMP)
	$(BIN)/python -m pip install --no-deps -r benchmarks/requirements.txt
	$(BIN)/python -m benchmarks.curvature
	$(BIN)/python -m benchmarks.surface
	$(BIN)/python benchmarks/tracker_overhead.py --seconds 12 --rounds 2 | tee benchmarks/results/tracker.md

clean:
	rm -rf $(VENV) docs/_build docs/api docs/lessons build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache
	find . -name .git -prune -o \( -name __pycache__ -o -name .ipynb_checkpoints \) -print0 | xargs -0r rm -rf
