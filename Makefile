# Everything is fetched into the checkout; nothing is installed on the machine. See README.md.
PYTHON ?= python3
BIN := .venv/bin
PACKAGES := inventory daemon exporter remediator runbookctl grafana demo

.PHONY: setup test lint demo demo-up demo-down incident dashboards lock

setup:
	@$(PYTHON) -m demo.toolchain

test: setup lint
	@$(BIN)/pytest

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

# make demo: starts everything, injects the incidents, stays up. make demo ONCE=1: exits 0 only if the loop held.
demo: setup
	@$(BIN)/python -m demo run $(if $(ONCE),--once)

demo-up: setup
	@$(BIN)/python -m demo up

demo-down:
	@$(BIN)/python -m demo down

incident:
	@$(BIN)/python -m demo incident $(NAME)

dashboards: setup
	@$(BIN)/python -m grafana.build

# Pins every dependency with its hash, and names no place to fetch it from.
lock: setup
	@$(BIN)/pip install --quiet pip-tools
	@$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --extra dev --output-file requirements.lock pyproject.toml
