# `make` prints what there is.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
INSTALL = $(BIN)/python tools/install.py
SOURCES = $(shell find native src -type f -not -path '*/__pycache__/*' -not -path '*/_native/*') CMakeLists.txt pyproject.toml

# What is installed here is compiled when it is first imported.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-trackers bench lint audit docs clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(VENV)/.demo ## train under roar, register, serve the job page on loopback (CHECK=1: look at it and stop)
	$(BIN)/python examples/digits/demo.py $(if $(CHECK),--check)

# In four processes, each with servers and a browser of its own (ARGS="-n 0" runs all in one, as --pdb needs it). Tests of
# real processes and servers race the machine they run on: one that fails is run once more, and the report says so. With
# TESTS_COLD=1 no command comes from a process that has imported its program already (tests/warm.py): twice the time.
PYTEST = $(BIN)/python -m pytest --reruns 1 -n 4 --dist worksteal

test: $(VENV)/.test ## the whole suite but what takes long (ARGS=… for pytest)
	$(PYTEST) -m "not heavy" $(ARGS)

test-trackers: $(VENV)/.test ## what takes long: the heavy trackers' own SDKs
	$(PYTEST) -m heavy $(ARGS)

bench: $(VENV)/.test ## the figures of docs/benchmarks.md, as ratios within one run
	$(BIN)/python benchmarks/run.py $(ARGS)

lint: $(VENV)/.test ## ruff and mypy
	$(BIN)/ruff check src tests benchmarks examples tools
	$(BIN)/mypy

audit: $(VENV)/.test $(VENV)-audit/.made ## look for known vulnerabilities and withdrawn releases in what the server needs (ARGS=--must-ask: offline is an error)
	$(BIN)/python tools/audit.py --index --pip-audit $(VENV)-audit/bin/pip-audit $(ARGS)

docs: $(VENV)/.test ## write the generated pages of docs/ anew
	for tool in tools/write_*.py; do $(BIN)/python $$tool || exit 1; done

$(VENV)/.made:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip uv==0.13.9
	@touch $@

# By itself: it would bring forty packages of its own into the environment that it looks at.
$(VENV)-audit/.made:
	$(PYTHON) -m venv $(VENV)-audit
	$(VENV)-audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	@touch $@

# Installed, not editable: the hook of an editable install would be loaded by every command that is observed.
$(VENV)/.roar: $(VENV)/.made $(SOURCES)
	$(INSTALL) '.[server]'
	@touch $@

$(VENV)/.demo: $(VENV)/.roar examples/digits/requirements.txt
	$(INSTALL) -r examples/digits/requirements.txt
	@touch $@

$(VENV)/.test: $(VENV)/.demo $(wildcard tests/requirements*.txt) tests/glaas/provider/package-lock.json \
		tools/install_test_needs.sh
	sh tools/install_test_needs.sh $(BIN)/python
	@touch $@

clean: ## remove what make made
	rm -rf $(VENV) $(VENV)-audit build examples/digits/work src/roar/_native
