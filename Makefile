# Everything is fetched into the checkout; nothing is installed on the machine. See README.md.
PYTHON ?= python3
BIN := .venv/bin


.PHONY: setup test lint bench differential soak mutants demo demo-up demo-down incident dashboards docs lock

setup:
	@$(PYTHON) -m tools.toolchain

# Files side by side: most tests wait for a server, not for a processor.
test: setup lint
	@$(BIN)/pytest -n 3

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

# Fails if a page, a scrape or a large bucket of backups costs more than it may; tells what it cost. The exporter that it
# compares with is fetched here.
bench: setup
	@$(PYTHON) -m tools.toolchain exporters
	@$(BIN)/python -m benchmarks.rendering
	@$(BIN)/python -m benchmarks.webhook
	@$(BIN)/python -m benchmarks.queues --keys 1000000
	@$(BIN)/python -m benchmarks.listing
	@$(BIN)/python -m benchmarks.peers
	@$(BIN)/python -m benchmarks.postgres
	@$(BIN)/python -m benchmarks.webhook
	@$(BIN)/python -m benchmarks.ledger

# What every version of BullMQ makes of thousands of random orders, read by the exporter and from all keys.
SEQUENCES ?= 2000
differential: setup
	@RUNBOOK_SEQUENCES=$(SEQUENCES) $(BIN)/pytest --timeout 0 tests/integration/exporter/bullmq/test_brute_force.py

# Ten minutes of faults with real servers; fails if the exporter was late, or holds more after them than before. Then the
# remediator is killed at every point of every way through its states.
soak: setup
	@$(BIN)/python -m soak
	@$(BIN)/pytest -m soak tests/invariants

# Spoils every number and comparison of the alert rules in turn, then takes every guard of docs/reference/invariants.md out of the
# code (a quarter of an hour); fails if no case, or not each test that a guard names, notices. GUARDS="3 19": those alone.
mutants: setup
	@$(if $(GUARDS),,$(BIN)/python -m tests.rules.mutants)
	@$(BIN)/python -m tests.invariants.mutants $(GUARDS)

# make demo: starts everything, injects the incidents, stays up. make demo ONCE=1: exits 0 only if the loop held.
demo: setup
	@$(BIN)/python -m demo run $(if $(ONCE),--once)

demo-up: setup
	@$(BIN)/python -m demo up

demo-down:
	@test ! -x $(BIN)/python || $(BIN)/python -m demo down

incident: setup
	@$(BIN)/python -m demo incident $(NAME)

dashboards: setup
	@$(BIN)/python -m grafana.build

docs: setup
	@$(BIN)/python -m tools.docs.build

# Pins every dependency with its hash for every Python from 3.11 on, and names no place to fetch it from: one file for
# the image, one for development.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
lock: setup
	@$(BIN)/pip install --quiet uv
	@$(COMPILE) --output-file requirements-runtime.lock pyproject.toml
	@$(COMPILE) --constraint requirements-runtime.lock --extra dev --output-file requirements.lock pyproject.toml
