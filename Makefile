# make            set up, build the book, check the notebooks, grade a class
# make test       every check and test; make test-all adds the slow ones
# make bench-gpu  test and time the kernels on an NVIDIA GPU
# make pdf        the whole book as _build/attention.pdf
# make screenshots  pictures of each kind of page, into _build/screenshots/
# make serve      read the book at http://localhost:8000
# make clean      remove what was built (.venv and classroom/ stay)

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := course

# The first Python that is new enough. Another one: make PYTHON=/path/to/it
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
CANDIDATES := python3 python3.11 python3.12 python3.13 python3.14 python
PYTHON ?= $(shell for name in $(CANDIDATES); do \
	if "$$name" -c '$(NEW_ENOUGH)' 2>/dev/null; then \
	echo "$$name"; break; fi; done)
# PyTorch without CUDA on Linux: make TORCH_INDEX=..., with the index that
# pytorch.org shows for Linux, pip, CPU.
TORCH_INDEX ?=
PORT ?= 8000

VENV := $(CURDIR)/.venv
READY := $(VENV)/.ready
BOOK := _build/.book
export PATH := $(VENV)/bin:$(PATH)
# Many small computations: threads would only wait for one another.
export OMP_NUM_THREADS ?= 1
export PYTHONWARNINGS ?=

# One short line for each package that pip fetches.
BRIEFLY := awk '/^Collecting/ {sub(/[^A-Za-z0-9._-].*/, "", $$2); \
	print "  " $$2} \
	/^Installing/ {print "  installing them"} {fflush()}'

say = printf '\n\033[1m%s\033[0m\n' "$(1)"

.PHONY: course book exercises class test test-all bench-gpu lint serve pdf \
	screenshots clean setup

course: book exercises class
	@$(call say,Read the book with: make serve)
	@echo "(it will be at http://localhost:$(PORT); the file above can be \
	opened directly, too)"

setup: $(READY)

# A torch that the package can work with is kept, whichever build it is, and
# so is the Triton that came with it.
$(READY): requirements.txt pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or newer is needed: got \
	$$(python3 --version 2>&1 || echo none). Install one, or say where it \
	is: make PYTHON=/path/to/python" >&2; exit 1; }
	@"$(PYTHON)" -c '$(NEW_ENOUGH)' || { echo "Python 3.11 or newer is \
	needed: got $$("$(PYTHON)" --version 2>&1)" >&2; exit 1; }
	@$(call say,[1/4] Setting up .venv (a few minutes the first time))
	@[ -x "$(VENV)/bin/python" ] || "$(PYTHON)" -m venv "$(VENV)" || { \
	rm -rf "$(VENV)"; echo "python -m venv must work: on Debian and \
	Ubuntu, install python3-venv" >&2; exit 1; }
	@fits='import torch; from packaging.version import Version as V; \
	raise SystemExit(V(torch.__version__) < V("2.1"))'; \
	mkdir -p _build; kept='^kept:'; \
	if "$(VENV)/bin/python" -c "$$fits" 2>/dev/null; \
	then kept="$$kept|^torch=="; fi; \
	if "$(VENV)/bin/python" -c 'import triton' 2>/dev/null; \
	then kept="$$kept|^triton=="; fi; \
	grep -vE "$$kept" requirements.txt > _build/requirements.txt
	@"$(VENV)/bin/python" -m pip install \
	--disable-pip-version-check $(if $(TORCH_INDEX),--extra-index-url \
	$(TORCH_INDEX)) -r _build/requirements.txt | $(BRIEFLY)
	@"$(VENV)/bin/python" -m pip install --quiet \
	--disable-pip-version-check --no-deps --no-build-isolation \
	--editable .
	@touch $@

BOOK_FILES := _config.yml $(shell find book -type f -not -name '*.pyc')
CODE_FILES := $(shell find attncourse -type f -not -name '*.pyc' \
	-not -path '*/notebooks/*' -not -path '*/live/*' -not -name 'cli*.py')
# What a reader's browser runs; no chapter does.
LIVE_FILES := $(shell find attncourse/live -type f -not -name '*.pyc')

# The library's pages tell which tests there are.
TEST_FILES := $(shell find tests -name 'test_*.py')

book: $(BOOK)

# Results are cached by the text of a page, so new code must forget them.
_build/.code: $(READY) $(CODE_FILES)
	@rm -rf _build/.jupyter_cache _build/.doctrees
	@mkdir -p _build
	@touch $@

$(BOOK): $(READY) _build/.code $(BOOK_FILES) $(LIVE_FILES) \
	$(TEST_FILES)
	@$(call say,[2/4] Building the book (it computes every figure))
	@jupyter-book build book --config _config.yml --path-output . \
	-W --keep-going
	@touch $@

exercises: $(READY)
	@$(call say,[3/4] Deriving the notebooks from solutions/)
	@attncourse sync --check

class: $(READY) exercises
	@$(call say,[4/4] Grading a sample class)
	@attncourse class --trust-students

lint: $(READY)
	@$(call say,Checking style and types and layers)
	@ruff check .
	@ruff format --check .
	@mypy
	@lint-imports

test: lint
	@$(call say,Testing)
	@python -m pytest -n 2 --dist worksteal -rs -m "not slow"

test-all: lint
	@$(call say,Testing with the slow tests)
	@python -m pytest -n 2 --dist worksteal -rs

# On a machine with an NVIDIA GPU: are the kernels right, and how fast?
bench-gpu: $(READY)
	@python -m pytest tests/fast/test_kernels.py -rs
	@attncourse bench --gpu --tune --rounds 20 \
	--json book/measurements/gpu.json

serve: $(BOOK)
	@echo "The book is at http://localhost:$(PORT) (Ctrl-C ends this)"
	@python -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

# Both need Chromium, and say so where there is none.
pdf: $(BOOK)
	@$(call say,Printing the book (some minutes))
	@python -m attncourse.bookmaking.pdf $(if $(ALL),--all)

screenshots: $(BOOK)
	@$(call say,Taking pictures of each kind of page)
	@python -m attncourse.bookmaking.screenshots

clean:
	rm -rf _build .pytest_cache .mypy_cache .ruff_cache .hypothesis \
	.import_linter_cache
