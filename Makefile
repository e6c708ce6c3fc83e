# `make` alone lists the targets. Nothing here needs root, and nothing is installed outside
# .venv and .tools. Extra words for pytest go into ARGS: make test ARGS="-x --durations=20".

PYTHON ?= $(shell for name in python3.11 python3.12 python3; do \
  "$$name" -c 'import sys; sys.version_info[:2] in ((3, 11), (3, 12)) or sys.exit(1); \
print(sys.executable)' 2>/dev/null && break; done)
PYTHON := $(PYTHON)
ARGS ?=

# ape looks for vyper and anvil on PATH, the prover for solc under XDG_DATA_HOME/svm.
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/.tools/bin:$(PATH)
# The tests start hundreds of interpreters: each would compile every module, and each worker rewrite
# every assertion anew. `make clean` takes the bytecode away.
unexport PYTHONDONTWRITEBYTECODE

SETUP = $(PYTHON) -m scripts.setup
# These have a chain and a process or two, and mostly wait for blocks.
CHAIN_TESTS = tests/adversary/daemons tests/chain tests/devnet tests/miner/operating tests/oracle
# These start whole networks and keep their clocks: one after the other, when nothing else wants the
# cores.
NETWORK_TESTS = tests/end_to_end
SOURCES = $(wildcard sdk miners oracle scripts tests benchmarks examples)
# Off: 4 does not see calls through a module's immutables; 5 and 10 speak of reserved functions,
# which keep the arguments and the mutability that their interface promises; 11 wants leading
# underscores. Frames are as large as the proofs, reports and openings that they hold.
NATRIX = natrix lint --disable NTX4 NTX5 NTX10 NTX11 \
  --rule-config MemoryExpansion.max_frame_size=163840

.DEFAULT_GOAL := help
.PHONY: help setup setup-demo setup-train demo test test-train test-deep bench bench-models bench-disputes \
  bench-privacy \
  mutation coverage lint fix abi lock \
  clean python

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: setup-demo ## set up, then ask a network of miners on this machine a question
	@.venv/bin/nesa demo $(ARGS)

test: setup ## the tests of every change; minutes
	@.venv/bin/pytest -n 2 --dist loadfile \
	  $(addprefix --ignore=,$(CHAIN_TESTS) $(NETWORK_TESTS)) $(ARGS)
	@.venv/bin/pytest -n 2 --dist loadfile $(CHAIN_TESTS) $(ARGS)
	@.venv/bin/pytest $(NETWORK_TESTS) $(ARGS)

test-train: setup-train ## the tests that need torch and scikit-learn
	@.venv/bin/pytest -m train $(ARGS)

test-deep: setup ## the same invariants, searched much further
	@.venv/bin/pytest -m deep --hypothesis-profile=searching $(ARGS)

bench-models: setup-train ## measure integer MiniLM: against the float model, then on a network
	@.venv/bin/python -m benchmarks.minilm $(ARGS)
	@.venv/bin/python -m benchmarks.sharded $(ARGS)
	@.venv/bin/python -m benchmarks.defending $(ARGS)

bench-disputes: setup ## measure the gas of judging single elements, and of whole games
	@.venv/bin/python -m benchmarks.disputes $(ARGS)
	@.venv/bin/python -m benchmarks.games $(ARGS)
	@.venv/bin/python -m benchmarks.court $(ARGS)

bench-privacy: setup-train ## attack what each mode of privacy leaves to see, and measure its cost
	@.venv/bin/python -m benchmarks.privacy.scoreboard $(ARGS)
	@.venv/bin/python -m benchmarks.privacy.shared $(filter --write,$(ARGS))
	@.venv/bin/python -m benchmarks.sessions $(filter --write,$(ARGS))
	@.venv/bin/python -m benchmarks.privacy.modes $(filter --write,$(ARGS))
	@.venv/bin/python -m benchmarks.privacy.modes --runs 5 --minilm .build/minilm/compiled $(filter --write,$(ARGS))
	@.venv/bin/python -m benchmarks.privacy.guessing $(filter --write,$(ARGS))
	@.venv/bin/python -m benchmarks.privacy.equivariant --minilm $(filter --write,$(ARGS))
	@.venv/bin/python -m benchmarks.privacy.split_training $(filter --write,$(ARGS))
	@.venv/bin/python -m benchmarks.privacy.text_head $(filter --write,$(ARGS))

mutation: setup ## take safety rules out of the contracts, see whether a test notices; hours
	@.venv/bin/python -m tests.mutation $(ARGS)

coverage: setup ## which branches of the contracts the tests take; minutes
	@.venv/bin/python -m tests.coverage $(ARGS)

bench: setup ## measure what the README states
	@.venv/bin/python -m benchmarks $(ARGS)

lint: setup ## style, types, import arrows, contract lints, stale exports
	@.venv/bin/ruff check $(SOURCES)
	@.venv/bin/ruff format --check $(SOURCES)
	@.venv/bin/mypy
	@.venv/bin/lint-imports
	@find contracts -name '*.vy' -print0 | xargs -0 -n 3 -P 2 .venv/bin/$(NATRIX)
	@.venv/bin/python -m scripts.export_abi --check

fix: setup ## mend what ruff can mend
	@.venv/bin/ruff check --fix $(SOURCES)
	@.venv/bin/ruff format $(SOURCES)

abi: setup ## export ABIs and storage layouts from the contracts
	@.venv/bin/python -m scripts.export_abi

lock: setup ## resolve requirements/*.in anew
	@$(PYTHON) -m scripts.setup.lock $(ARGS)

setup: python ## install everything but torch into .venv and .tools
	@$(SETUP) environment anvil solc

setup-demo: python
	@$(SETUP) environment anvil

setup-train: python
	@$(SETUP) training anvil solc

clean: ## remove .venv, .tools and every cache
	rm -rf .venv .tools .build .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	rm -rf .hypothesis .coverage contracts/.cache
	find sdk miners oracle scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +

python:
	@test -n "$(PYTHON)" || { echo "Nesa needs Python 3.11 or 3.12: install one, or name it with make PYTHON=/path/to/python3.12" >&2; exit 1; }
