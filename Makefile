# Every target makes .venv by itself and installs what it needs; only python3 (with venv) and make
# must be there. Node.js is used when present. PYTHON=python3.12 picks another interpreter.
PYTHON ?= python3
BIN := .venv/bin
PEERS := tests/interop/peers
# Where it is set, each of the many processes of demo and tests would compile the package anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test check sweep bench lint format install peers lock clean

help:
	@echo "make demo    three nodes (and a JavaScript peer) exchange feeds on this machine"
	@echo "make test    all tests"
	@echo "make check   what continuous integration runs: format, lint, types, contracts, tests"
	@echo "make sweep   2,000 simulated networks, 200 of them in the trio driver, too; then the slow tests: every"
	@echo "             scenario in both drivers, every planted defect"
	@echo "make bench   speed, each figure beside a limit measured in the same run"

install: .venv/installed
peers: $(PEERS)/.installed

.venv/installed: requirements/dev.lock pyproject.toml
	@echo "Installing into .venv (first time: about a minute)"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# A machine without Node.js gets the same targets: what needs the peers says that it was left out.
$(PEERS)/.installed: $(PEERS)/package-lock.json
	@if command -v npm >/dev/null 2>&1; then \
	  echo "Installing the JavaScript peers"; \
	  cd $(PEERS) && npm ci --no-audit --no-fund --loglevel=error && touch .installed; \
	else echo "No npm here: what needs a JavaScript peer is left out"; fi

demo: install peers
	$(BIN)/qbix-node demo --js-peer $(PEERS)

# A file's tests stay together, in order; files are dealt out to the processors.
test: install peers
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

# In a folder of its own, a sweep that was interrupted goes on where it was.
sweep: install
	mkdir -p sweeps
	$(BIN)/python -m netsim sweep swarm --seeds 0:2000 --out sweeps/swarm-$$(git rev-parse --short HEAD).jsonl
	$(BIN)/python -m netsim sweep swarm --driver trio --seeds 0:200 --out sweeps/swarm-trio-$$(git rev-parse --short HEAD).jsonl
	$(BIN)/python -m pytest --slow -m slow tests/netsim

bench: install
	$(BIN)/python -m bench

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Rewrites the lock files from pyproject.toml; they hold hashes, no download addresses.
lock:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet uv
	.venv-lock/bin/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-header --no-annotate --upgrade -o requirements/dev.lock
	rm -rf .venv-lock

clean:
	rm -rf .venv $(PEERS)/node_modules $(PEERS)/.installed bench/peers/hypercore/node_modules bench/peers/hypercore/.installed
