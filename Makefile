# `make demo` and `make test` need only make and Python 3.11 or newer: each target makes the virtual environment that it
# uses. Another Python: `make PYTHON=python3.12 demo`.

PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
# Small models learn no faster with more threads, and many times slower where something else keeps the cores busy.
export OMP_NUM_THREADS ?= 1
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test slow docs bench clean

# The main job, on real data that needs no download.
demo: .venv/installed-deploy
	$(BIN)/jumpml run examples/digits

# Style, types and tests. pytest comes last: its closing line is the summary of the whole. What is compiled ahead is not
# compiled again by each process that a test starts, even where PYTHONDONTWRITEBYTECODE is set.
test: .venv/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/python -m compileall -q src
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal

# The studies that take minutes.
slow: .venv/installed-dev
	$(BIN)/pytest -m slow

# The site, in site/.
docs: .venv/installed-docs
	$(BIN)/mkdocs build --strict

# Seconds an epoch and microseconds a node, beside what is written by hand.
bench: .venv/installed-deploy
	$(BIN)/python benchmarks/step_overhead.py
	$(BIN)/python benchmarks/graph.py

# All that can be made again; your runs stay.
clean:
	rm -rf .venv build dist site .pytest_cache .ruff_cache .hypothesis

# A stamp for each extra: nothing is installed twice until the versions or the dependencies change. The constraints hold
# torch in the same resolution that installs the rest, so no other build of it is ever fetched.
.venv/installed-%: .venv/made pyproject.toml constraints.txt
	$(INSTALL) --editable '.[$*]'
	@touch $@

.venv/made:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and \
	  f"JumpML needs Python 3.11 or newer; $(PYTHON) is {v[0]}.{v[1]}. Name another: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	@touch $@
