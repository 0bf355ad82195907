# The contract that people and CI share. It needs Python 3.11 or newer, and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo test browser-test lint docs bench fuzz clean

help:
	@echo "make demo   set up, train on synthetic blood cells, show the results"
	@echo "make test   set up, check style and types, run the tests"
	@echo "make browser-test   set up with npm, try the pages of models in Chromium"
	@echo "make lint   check style and types only"
	@echo "make docs   set up, build the documentation, with its examples run (minutes)"
	@echo "make bench  set up, time everything beside plain Keras (half an hour)"
	@echo "make fuzz   set up, look for files and words that crash it (ten minutes)"
	@echo "make clean  remove what the other targets made"

demo: $(VENV)/.installed-demo
	$(BIN)/skwbc demo --out skwbc-demo

test: lint
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

browser-test: $(VENV)/.installed-browser
	$(BIN)/python -m pytest tests/export/test_page.py

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.installed-docs
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html
	@echo "Open docs/_build/html/index.html"

bench: $(VENV)/.installed-demo
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/footprint.py
	$(BIN)/python benchmarks/growth.py

fuzz: $(VENV)/.installed-test
	$(BIN)/python -m pytest tests/fuzz -o python_files='fuzz_*.py'
	$(BIN)/python benchmarks/attacks.py

clean:
	rm -rf $(VENV) skwbc-demo .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -rf docs/_build docs/auto_examples docs/api/generated
	find skwbc tests benchmarks docs examples -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/.installed-demo: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[report]'
	touch $@

$(VENV)/.installed-test: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

# Also `make test` and `make docs` use what is there then.
$(VENV)/.installed-browser: $(VENV)/.installed-test
	$(BIN)/python -m pip install --quiet --editable '.[test,browser]'
	npm install --no-save --prefix $(VENV)/npm onnxruntime-web@1.30.0 axe-core@4
	touch $@

$(VENV)/.installed-docs: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "skwbc needs Python 3.11 or newer; say which: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	touch $@
