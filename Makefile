# segrecord: every target does its own set-up in .venv.
#
#   make demo    draw the sample set, build it, verify it
#   make test    lint, types and all tests
#   make lint    lint and types only
#   make bench   the benchmarks of docs/benchmarks.md (minutes)
#   make fuzz    the property tests on thousands of examples, and the kills
#   make docs    docs/cli.md and docs/checks.md anew, from the code itself

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint bench fuzz docs clean

# The light set-up: what a user installs.
$(VENV)/.user: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

# The full one: frameworks and tools that tests and benchmarks run against.
$(VENV)/.dev: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@ $(VENV)/.user

demo: $(VENV)/.user
	$(BIN)/segrecord demo demo

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/pytest -n 2 --dist worksteal

fuzz: $(VENV)/.dev
	$(BIN)/pytest -n 2 --dist worksteal --hypothesis-profile fuzz tests/property tests/faults tests/unit/test_png_pixels.py

# Ours and the readers that it is compared with, and nothing more: the tests' own environment holds
# pandas, which Arrow imports wherever it finds it (0.2 s).
$(VENV)-bench/.done: pyproject.toml constraints.txt
	test -x $(VENV)-bench/bin/python || $(PYTHON) -m venv $(VENV)-bench
	$(VENV)-bench/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[bench,fast]"
	touch $@

bench: $(VENV)-bench/.done
	$(VENV)-bench/bin/python benches/run.py --write docs/benchmarks.md

docs: $(VENV)/.dev
	$(BIN)/python docs/generate_cli.py
	$(BIN)/python docs/generate_checks.py

clean:
	rm -rf $(VENV) $(VENV)-bench demo bench-data
