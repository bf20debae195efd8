# make reports · make test · make lab · make bench · make shots · make axe · make lock
# Needs Python 3.11 or newer and nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHOP ?= data/demo
READY := $(VENV)/.installed

.PHONY: reports test lab bench shots axe lock clean
.DELETE_ON_ERROR:

reports: $(READY) data/demo/orders.csv
	@$(BIN)/crm run --all --shop $(SHOP) -v

test: $(READY)
	$(BIN)/ruff format --check crmlib tests
	$(BIN)/ruff check crmlib tests
	$(BIN)/mypy
	$(BIN)/python -m pytest -n logical --dist loadfile

lab: $(READY) data/demo/orders.csv
	$(BIN)/jupyter lab notebooks

bench: $(READY)
	$(BIN)/python -m tests.benchmarks

shots: $(READY)
	$(BIN)/python tests/shots.py

axe: $(READY)
	$(BIN)/python tests/axe.py

lock: $(READY)
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --quiet --output-file requirements.lock
	$(BIN)/python .ci/environment.py

# A shop of an earlier simulation is made anew.
data/demo/orders.csv: $(wildcard crmlib/shop/samples/demo/*.py) | $(READY)
	@$(BIN)/crm demo --force

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name it: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

clean:
	rm -rf $(VENV) data/demo shots
