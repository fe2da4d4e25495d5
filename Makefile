# make demo   build fast.ai's conv-example as a workbook and check every cell of it
# make test   everything that the project is tested with
# make coverage  the same, with the lines and branches that they reach
# make bench  the benchmarks that the README quotes

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test coverage bench clean

demo: $(VENV)/demo-installed
	$(BIN)/sheetconv build conv-example --force
	$(BIN)/sheetconv check conv-example.xlsx

test: $(VENV)/test-installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest --numprocesses auto

coverage: $(VENV)/test-installed
	$(BIN)/pytest --numprocesses auto --cov --cov-report term

bench: $(VENV)/test-installed
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/whole_process.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/accuracy.py
	$(BIN)/python benchmarks/cell_training.py

$(VENV)/demo-installed: $(VENV)/created pyproject.toml $(shell find sheetconv templates -name '*.py' -o -name '*.toml' -o -name '*.npz')
	$(BIN)/pip install --quiet --disable-pip-version-check .
	@touch $@

# Editable, so that the tests measure the coverage of the checkout itself.
$(VENV)/test-installed: $(VENV)/created pyproject.toml tests/constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c tests/constraints.txt -e '.[test]'
	@touch $@

$(VENV)/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'sheetconv needs Python 3.11 or newer: make PYTHON=python3.12 ...'; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

clean:
	rm -rf $(VENV) conv-example.xlsx
