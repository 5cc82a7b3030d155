# Each target installs everything that it needs: a fresh machine with Python ≥ 3.11 and make is enough.

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
DEVICE ?= cuda
MINUTES ?= 30

VENV := .venv
BIN := $(VENV)/bin
RAY := .venv-ray
RIVALS := .venv-rivals
OPENAPI := .venv-openapi
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: serve train-env test test-slow test-all test-ray test-openapi check audit format bench openapi reference notebook docs
.PHONY: gpu-check clean help
.DEFAULT_GOAL := help

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

serve: $(VENV)/.serve  ## start the service on the bundled models: make serve [HOST=127.0.0.1] [PORT=8000]
	@GAN_HOST=$(HOST) GAN_PORT=$(PORT) exec $(BIN)/python -m app

train-env: $(VENV)/.train  ## install what training needs, without the tests; then run .venv/bin/python -m training …

# Three processes run the tests: while one waits, two use the cores. Each takes a whole file at a time, so that the
# services and runs of a file are made once.
# The files keep their order, in which short ones are last.
# Images of containers often set PYTHONDONTWRITEBYTECODE; each process would then compile all modules anew.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

test: $(VENV)/.test  ## run the tests without the slow ones: at most 6 minutes on 2 cores
	$(PYTEST) -m "not slow"

test-slow: $(VENV)/.test  ## run the slow tests: sweeps over page layouts, trials, kills, every command of README and docs
	$(PYTEST) -m slow

test-all: test test-slow  ## run all tests

test-ray: $(RAY)/.ray  ## run the tests of the API on a local Ray with two replicas, and draw samples by Ray Data
	$(RAY)/bin/python -m pytest tests/ray tests/training/bulk/test_bulk.py::test_ray_writes_the_identical_files

test-openapi: $(VENV)/.test $(OPENAPI)/.openapi  ## lint docs/openapi.json, and call every operation by generated clients; needs the network
	$(BIN)/python -m pytest tests/openapi

check: $(VENV)/.test  ## check style, types, imports between rooms, and unsafe calls (bandit)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive app gan_client models training

# This is not part of `check`, which needs no network. With --strict, a package that cannot be checked is a failure, too.
audit: $(VENV)/.test  ## look for known vulnerabilities of all pinned packages; asks PyPI, so it needs the network
	$(BIN)/pip-audit --strict --disable-pip --no-deps --requirement constraints.txt

format: $(VENV)/.test  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.test $(RIVALS)/.rivals  ## measure training and serving beside other programs (a quarter of an hour; needs wrk, Chromium)
	$(BIN)/python -m benchmarks.training
	$(BIN)/python -m benchmarks.serving --rivals $(RIVALS)/bin/python
	$(BIN)/python -m benchmarks.latency
	$(BIN)/python -m benchmarks.revalidation
	$(BIN)/python -m benchmarks.archives
	$(BIN)/python -m benchmarks.anatomy --svg docs/images/anatomy.svg
	$(BIN)/python -m benchmarks.dissection
	$(BIN)/python -m benchmarks.playground

# With PICTURES=FOLDER it also trains photos-large on these pictures for MINUTES. DEVICE=cpu rehearses all of it.
gpu-check: $(VENV)/.test  ## check and measure everything on an NVIDIA GPU: make gpu-check [PICTURES=FOLDER MINUTES=30]
	$(BIN)/python -m benchmarks.gpu --device $(DEVICE) $(if $(PICTURES),--pictures "$(PICTURES)" --minutes $(MINUTES))

openapi: $(VENV)/.test  ## write docs/openapi.json from the routes
	$(BIN)/python -m app.write_openapi docs/openapi.json

reference: $(VENV)/.test  ## write the tables of docs/settings.md and docs/metrics.md anew from the code
	$(BIN)/python -m app.write_reference docs/settings.md docs/metrics.md

notebook: $(VENV)/.test  ## execute docs/writeup.ipynb, and write its outputs into it: about a minute of one core
	$(BIN)/python -m scripts.execute_notebook

docs: $(VENV)/.test  ## the documentation as a site, in site/: fails on a warning or a dead link
	$(BIN)/python -m scripts.build_site

clean:  ## remove the environments
	rm -rf $(VENV) $(RAY) $(RIVALS) $(OPENAPI) tests/openapi/node_modules tests/openapi/generated *.egg-info

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed, not $$($(PYTHON) --version); try: make PYTHON=python3.12 …"; exit 1; }
	@echo "Creating $(VENV) …"
	@$(PYTHON) -m venv $(VENV)

# torch is installed first and alone, so that no other package chooses its version or its build.
$(VENV)/.torch: constraints.txt | $(BIN)/python
	@echo "Installing torch …"
	@$(PIP) torch==2.13.0
	@touch $@

$(VENV)/.serve: pyproject.toml constraints.txt $(VENV)/.torch
	@echo "Installing the service …"
	@$(PIP) --editable '.[app]'
	@touch $@

$(VENV)/.train: pyproject.toml constraints.txt $(VENV)/.torch
	@echo "Installing the training package …"
	@$(PIP) --editable '.[bulk,onnx,training]'
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt $(VENV)/.torch
	@echo "Installing the service, the training package and the tools of the tests …"
	@$(PIP) --editable '.[app,bulk,docs,onnx,otel,training,test]' --editable ./gan_client
	@touch $(VENV)/.serve $(VENV)/.train $@

# Ray works with all other packages (constraints.txt), but is as large as torch, so it has an environment of its own.
$(RAY)/.ray: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing the service on Ray …"
	@$(PYTHON) -m venv $(RAY)
	@$(RAY)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch==2.13.0
	@$(RAY)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--editable '.[app,bulk,ray,training,test]' --editable ./gan_client
	@touch $@

# Their pinned versions conflict with ours, so they have an environment of their own. PYTHONPATH leads to our packages.
$(RIVALS)/.rivals: benchmarks/rivals/requirements.txt | $(BIN)/python
	@echo "Installing the rival model servers …"
	@$(PYTHON) -m venv $(RIVALS)
	@$(RIVALS)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	@$(RIVALS)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

# Linters and generators of clients. node and java are among the packages, so the machine needs neither.
$(OPENAPI)/.openapi: tests/openapi/requirements.txt tests/openapi/package.json tests/openapi/package-lock.json | $(BIN)/python
	@echo "Installing the linters and generators of OpenAPI …"
	@$(PYTHON) -m venv $(OPENAPI)
	@$(OPENAPI)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@cd tests/openapi && PATH="$(abspath $(OPENAPI))/bin:$$PATH" npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@
