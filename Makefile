# Each target makes all that it needs on a fresh machine: Python ≥ 3.11 and make are enough.

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000

VENV := .venv
BIN := $(VENV)/bin
RAY := .venv-ray
RIVALS := .venv-rivals
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: serve train-env test test-slow test-all test-ray check audit format bench openapi clean help
.DEFAULT_GOAL := help

help:  ## this text
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

serve: $(VENV)/.serve  ## the service on the bundled models: make serve [HOST=127.0.0.1] [PORT=8000]
	@GAN_HOST=$(HOST) GAN_PORT=$(PORT) exec $(BIN)/python -m app

train-env: $(VENV)/.train  ## the training environment without the tests: then .venv/bin/python -m training …

# Two processes run the tests, a file at a time, so that a file's services and runs are made once. The files stay in their
# order, in which short ones are last.
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test: $(VENV)/.test  ## the tests, without the slow ones: at most 6 minutes of 2 cores
	$(PYTEST) -m "not slow"

test-slow: $(VENV)/.test  ## the slow tests: sweeps over looks, trials, kills, every command of README and docs
	$(PYTEST) -m slow

test-all: test test-slow  ## all tests

test-ray: $(RAY)/.ray  ## the tests of the API once more, on a local Ray with two replicas; and samples by Ray Data
	$(RAY)/bin/python -m pytest tests/ray tests/training/bulk/test_bulk.py::test_ray_writes_the_identical_files

check: $(VENV)/.test  ## style, types, the direction of imports, and what bandit finds unsafe
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive app gan_client models training

# Not a part of `check`, which needs no network. Strict: a package of which nothing can be learnt fails it, too.
audit: $(VENV)/.test  ## known vulnerabilities of every pinned package: asks PyPI, so it needs the network
	$(BIN)/pip-audit --strict --disable-pip --no-deps --requirement constraints.txt

format: $(VENV)/.test  ## put the code into its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.test $(RIVALS)/.rivals  ## speed of training and of serving, beside others' (a quarter of an hour; needs wrk, Chromium)
	$(BIN)/python -m benchmarks.training
	$(BIN)/python -m benchmarks.serving --rivals $(RIVALS)/bin/python
	$(BIN)/python -m benchmarks.latency
	$(BIN)/python -m benchmarks.revalidation
	$(BIN)/python -m benchmarks.archives
	$(BIN)/python -m benchmarks.anatomy --svg docs/images/anatomy.svg
	$(BIN)/python -m benchmarks.dissection
	$(BIN)/python -m benchmarks.playground

openapi: $(VENV)/.test  ## write docs/openapi.json anew from the routes
	$(BIN)/python -m app.write_openapi docs/openapi.json

clean:  ## remove the environments
	rm -rf $(VENV) $(RAY) $(RIVALS) *.egg-info

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed, not $$($(PYTHON) --version); try: make PYTHON=python3.12 …"; exit 1; }
	@echo "Creating $(VENV) …"
	@$(PYTHON) -m venv $(VENV)

# torch first and alone: nothing else may choose its version or its build.
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
	@$(PIP) --editable '.[bulk,training]'
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt $(VENV)/.torch
	@echo "Installing the service, the training package and the tools of the tests …"
	@$(PIP) --editable '.[app,bulk,client,otel,training,test]'
	@touch $(VENV)/.serve $(VENV)/.train $@

# Ray fits beside all else (constraints.txt), but is as large as torch: who does not ask for it has none.
$(RAY)/.ray: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing the service on Ray …"
	@$(PYTHON) -m venv $(RAY)
	@$(RAY)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch==2.13.0
	@$(RAY)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--editable '.[app,bulk,client,ray,training,test]'
	@touch $@

# Their pins clash with ours; our own packages they find by PYTHONPATH.
$(RIVALS)/.rivals: benchmarks/rivals/requirements.txt | $(BIN)/python
	@echo "Installing the rival model servers …"
	@$(PYTHON) -m venv $(RIVALS)
	@$(RIVALS)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	@$(RIVALS)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@
