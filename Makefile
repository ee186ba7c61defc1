# Everything works from Python >= 3.11 and make alone; each target that needs the environment builds it first.

BIN := .venv/bin
STAMP := .venv/.stamp
# Only what is there: a fresh branch may not have all of them yet.
TYPED := $(wildcard policies proxy tests bench)

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench lock format coverage clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(STAMP) ## Create .venv with the locked dependencies, the product and its tools

# The stamp is written last, so that an interrupted set-up is done again.
$(STAMP): pyproject.toml requirements/dev.txt
	@if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  for python in $(PYTHON) python3.13 python3.12 python3.11 python3.14 python3; do \
	    "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue; \
	    if "$$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then found=$$python; break; fi; \
	    without_venv=$$python; \
	  done; \
	  if [ -z "$$found" ] && [ -n "$$without_venv" ]; then \
	    echo "make: $$without_venv lacks the venv module; on Debian: apt-get install python3-venv" >&2; exit 1; \
	  elif [ -z "$$found" ]; then \
	    echo "make: no Python >= 3.11 found; install one, or name it: make setup PYTHON=/path/to/python3" >&2; exit 1; \
	  fi; \
	  rm -rf .venv && "$$found" -m venv .venv; \
	fi
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: setup ## Start gateway (8080), admin (8081) and a simulated provider (9090)
	$(BIN)/bursar demo

test: setup ## Run the whole test suite
	$(BIN)/python -m pytest -n auto --maxprocesses=4 --dist worksteal

check: setup ## Format, lint, types, import contracts, tests
	@echo "==> ruff format"
	@$(BIN)/ruff format --check .
	@echo "==> ruff check"
	@$(BIN)/ruff check .
	@echo "==> mypy"
	@$(BIN)/mypy $(TYPED)
	@echo "==> import contracts"
	@$(BIN)/lint-imports --no-logo
	@echo "==> README names the test command"
	@grep -q 'make test' README.md || { echo "README.md does not mention 'make test'" >&2; exit 1; }
	@echo "==> make test"
	@$(MAKE) --no-print-directory test

bench: setup ## Run the benchmarks, as ratios in one run
	$(BIN)/python -m bench

format: setup ## Format, and repair what the linter can repair
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

coverage: setup ## Run the tests under coverage and report what is missed
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# One lock for every supported Python and platform; hashes instead of addresses, so any index or mirror serves.
# Existing pins stay unless a bound forbids them: `make lock UPGRADE=--upgrade` takes the newest of everything.
# Needs uv >= 0.13 on PATH (or UV=/path/to/uv); nothing else in this file does.
UV ?= uv
LOCK = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' $(UPGRADE)
lock: ## Resolve the dependencies anew into requirements/ (needs uv)
	$(LOCK) pyproject.toml -o requirements/runtime.txt
	$(LOCK) pyproject.toml --group dev -c requirements/runtime.txt -o requirements/dev.txt
	$(LOCK) --group build -c requirements/dev.txt -o requirements/build.txt

clean: ## Remove the environment and all caches; data under var/ stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage .coverage.* build dist
	find policies proxy tests bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
