# Fetches everything into the checkout and installs nothing on the machine. See README.md.
PYTHON ?= python3
BIN := .venv/bin


.PHONY: setup demo-setup browser test lint bench differential soak chaos mutants demo demo-up demo-down incident dashboards docs pictures lock

setup:
	@$(PYTHON) -m tools.toolchain

# The part of it that the demo needs: a third.
demo-setup:
	@$(PYTHON) -m tools.toolchain demo-python servers demo-node

# Chromium for the tests of the console and for pictures; the demo does without it.
browser: setup
	@$(PYTHON) -m tools.toolchain browser

# Test files run in parallel, more of them than a machine has cores: most tests wait for a server, not for the CPU.
test: browser lint
	@$(BIN)/pytest -n 5 --hypothesis-profile repeatable

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

# Prints the cost of a page, a scrape and a large bucket of backups; fails if one exceeds its limit. Fetches the exporters
# to compare with, and writes docs/reference/benchmarks.md. LARGE=1 adds the largest sizes: half an hour and 20 GB.
bench: setup
	@$(PYTHON) -m tools.toolchain exporters
	@$(BIN)/python -m benchmarks.rendering
	@$(BIN)/python -m benchmarks.queues --keys 1000000
	@$(BIN)/python -m benchmarks.listing
	@$(BIN)/python -m benchmarks.peers --write
	@$(BIN)/python -m benchmarks.growth --write $(if $(LARGE),--large)
	@$(BIN)/python -m benchmarks.postgres
	@$(BIN)/python -m benchmarks.webhook
	@$(BIN)/python -m benchmarks.ledger
	@$(BIN)/python -m benchmarks.console --write

# Runs thousands of random command sequences with every version of BullMQ, and compares the exporter with all keys.
SEQUENCES ?= 2000
differential: setup
	@RUNBOOK_SEQUENCES=$(SEQUENCES) $(BIN)/pytest --timeout 0 tests/integration/exporter/bullmq/test_brute_force.py

# Ten minutes of faults with real servers; fails if the exporter was late, or if a daemon leaked memory, files, tasks or
# connections. Then kills the remediator at every point of every path through its states, and searches the protocol of
# three replicas. WHEEL=1 builds the wheel, installs it without a network, and runs the daemons from there.
soak: setup
	@$(BIN)/python -m soak $(if $(WHEEL),--wheel)
	@$(BIN)/pytest -m soak tests/invariants tests/protocol

# Three remediators on one ledger, two Alertmanagers and a product under SECONDS of faults; then audits the ledger and the
# servers. SEED repeats an order of faults, SCHEDULE=1 prints it, WHEEL=1 runs the remediators from the wheel as installed.
# The report and all logs are in .chaos/.
SECONDS ?= 600
chaos: setup
	@$(PYTHON) -m tools.toolchain faketime
	@$(BIN)/python -m chaos --seconds $(SECONDS) $(if $(SEED),--seed $(SEED)) $(if $(WHEEL),--wheel) $(if $(SCHEDULE),--schedule)

# Mutates every number and comparison of the alert rules in turn, then removes every guard of docs/reference/invariants.md
# (15 minutes). Fails if no case, or not every test that the guard names, notices. GUARDS="3 19" limits it to those.
mutants: setup
	@$(if $(GUARDS),,$(BIN)/python -m tests.rules.mutants)
	@$(BIN)/python -m tests.invariants.mutants $(GUARDS)

# make demo: starts everything, injects the incidents, stays up. make demo ONCE=1: exits with 0 only if all went well.
demo: demo-setup
	@$(BIN)/python -m demo run $(if $(ONCE),--once)

demo-up: demo-setup
	@$(BIN)/python -m demo up

demo-down:
	@test ! -x $(BIN)/python || $(BIN)/python -m demo down

incident: demo-setup
	@$(BIN)/python -m demo incident $(NAME)

dashboards: setup
	@$(BIN)/python -m grafana.build

docs: setup
	@$(BIN)/python -m tools.docs.build

# Draws the boards with the demo's data into docs/pictures, in 15 minutes: when all is well, then during an incident; then
# takes the pages of the console. Fetches Grafana's component library (440 MB) for itself alone. BOARDS="stack fleet" draws
# only those.
pictures: browser
	@$(PYTHON) -m tools.toolchain pictures
	@$(BIN)/python -m tools.pictures $(BOARDS)
	@$(if $(BOARDS),,$(BIN)/python -m tools.pictures.console)

# Pins every dependency by hash for Python 3.11 and later, without an index URL: one file for the image, one for the demo,
# one for development, and one for the tools of a release.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
lock: setup
	@$(BIN)/pip install --quiet uv
	@$(COMPILE) --output-file requirements-runtime.lock pyproject.toml
	@$(COMPILE) --constraint requirements-runtime.lock --extra demo --output-file requirements-demo.lock pyproject.toml
	@$(COMPILE) --constraint requirements-demo.lock --extra dev --output-file requirements.lock pyproject.toml
	@$(COMPILE) --output-file requirements-release.lock --group pyproject.toml:release
