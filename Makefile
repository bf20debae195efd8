# make reports · make test · make test-slow · make test-spark · make lab · make bench · make shots · make axe · make lock
# Needs Python 3.11 or newer and nothing else; test-spark also Java 17 or 21.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHOP ?= data/demo
UV := uv==0.13.9
READY := $(VENV)/.installed
COMPILE := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --quiet

# Spark is large and rarely wanted: an environment of its own, the same packages and PySpark beside them.
SPARK_VENV := .venv-spark
SPARK_BIN := $(SPARK_VENV)/bin
SPARK_READY := $(SPARK_VENV)/.installed

# Modules are compiled once, not in each of the many processes of a run.
unexport PYTHONDONTWRITEBYTECODE

# Tests run side by side, one on each core: threads within them would only wait for each other.
test test-slow test-spark: export OMP_NUM_THREADS := 1
test test-slow test-spark: export OPENBLAS_NUM_THREADS := 1

.PHONY: reports test test-slow test-spark lab bench shots axe lock clean
.DELETE_ON_ERROR:

reports: $(READY) data/demo/orders.csv
	@$(BIN)/crm run --all --shop $(SHOP) -v

test: $(READY)
	$(BIN)/ruff format --check crmlib tests
	$(BIN)/ruff check crmlib tests
	@$(BIN)/mypy & types=$$!; $(BIN)/python -m pytest -n logical --dist loadfile -m "not slow"; tests=$$?; wait $$types && exit $$tests

test-slow: $(READY)
	$(BIN)/python -m pytest -n logical --dist loadfile -m slow

test-spark: $(SPARK_READY)
	CRM_SPARK=1 $(SPARK_BIN)/python -m pytest -m spark

lab: $(READY) data/demo/orders.csv
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root)

bench: $(READY)
	$(BIN)/python -m tests.benchmarks

shots: $(READY)
	$(BIN)/python tests/shots.py

axe: $(READY)
	$(BIN)/python tests/axe.py

lock: $(READY)
	$(COMPILE) pyproject.toml --extra complete-journey --extra databases --extra test --output-file requirements.lock
	$(BIN)/python .ci/extra.py spark | $(COMPILE) - --constraint requirements.lock --output-file requirements-spark.lock
	$(BIN)/python .ci/environment.py

# A shop of an earlier simulation is made anew.
data/demo/orders.csv: $(wildcard crmlib/shop/samples/demo/*.py) | $(READY)
	@$(BIN)/crm demo --force

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name it: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV)
	@$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

$(SPARK_READY): requirements.lock requirements-spark.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name it: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@test -x $(SPARK_BIN)/python || $(PYTHON) -m venv $(SPARK_VENV)
	@echo "installing into $(SPARK_VENV)"
	@$(SPARK_BIN)/python -m pip install --quiet --disable-pip-version-check $(UV)
	@$(SPARK_BIN)/uv pip sync --quiet --compile-bytecode --python $(SPARK_BIN)/python requirements.lock requirements-spark.lock
	@$(SPARK_BIN)/uv pip install --quiet --python $(SPARK_BIN)/python --no-deps --editable .
	@touch $@

clean:
	rm -rf $(VENV) $(SPARK_VENV) data/demo shots
