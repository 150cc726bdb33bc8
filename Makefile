# Everything runs in .venv, which the first target that needs it sets up from constraints.txt.
PYTHON ?= python3
TORCH_INDEX ?=
ARGS ?=

PY := .venv/bin/python
INSTALL := $(PY) -m pip install -c constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test check format lint types docs validate bench results clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "  PYTHON=python3.12     the Python that makes .venv (3.11 or newer)"
	@echo "  TORCH_INDEX=URL       where torch comes from, such as https://download.pytorch.org/whl/cpu (no CUDA)"
	@echo "  ARGS='-k grid'        passed on to the demo, the tests or the validation"

# The stamps are written last: a set-up that was interrupted starts again.
.venv/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; try make PYTHON=python3.12")'
	$(PY) -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	$(if $(TORCH_INDEX),$(INSTALL) --no-deps --index-url $(TORCH_INDEX) torch)
	$(INSTALL) hatchling
	$(INSTALL) --no-build-isolation -e '.[test]'
	touch $@

.venv/.ready-dev: .venv/.ready
	$(INSTALL) --no-build-isolation -e '.[dev,docs]'
	touch $@

demo: .venv/.ready  ## train a small network, compile its masks, run it on the simulated bench
	$(PY) -m models.demo $(ARGS)

test: .venv/.ready  ## run the tests; warnings are errors
	OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadfile $(ARGS)

check: lint types test docs  ## all that must pass: format, lint, types, tests, docs

format: .venv/.ready-dev  ## rewrite the files in the house style
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

lint: .venv/.ready-dev
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .

types: .venv/.ready-dev
	$(PY) -m pyright

docs: .venv/.ready-dev  ## build the pages and run the gallery, into docs/_build/html
	$(PY) -m sphinx -n -W --keep-going -b html docs docs/_build/html

validate: .venv/.ready  ## compare with exact solutions; writes docs/validation.md
	$(PY) -m validation $(ARGS)

bench: .venv/.ready  ## time it beside other packages; writes docs/results
	$(PY) -m benchmarks $(ARGS)

results: demo  ## run the demo and put its table and figures into the pages
	$(PY) docs/collect.py runs/demo
	$(PY) -m models.light runs/demo runs/demo/bench.toml -o docs/results/light.csv

clean:  ## remove what was built; keeps .venv and runs
	rm -rf build dist docs/_build docs/gallery docs/reference/generated docs/sg_execution_times.rst
	rm -rf .pytest_cache .ruff_cache .hypothesis
	find fouroptics models validation benchmarks tests docs -name __pycache__ -prune -exec rm -rf {} +
