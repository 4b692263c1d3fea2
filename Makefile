# Every target sets up what it needs; nothing is installed outside this folder.
SHELL := /bin/bash
BIN := .venv/bin
# Twice the processors: integration tests wait for processes as often as they compute. More than 16 find no work.
WORKERS := $(shell n=$$(( $$(getconf _NPROCESSORS_ONLN) * 2 )); echo $$(( n < 16 ? n : 16 )))
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/.toolchain/bin:$(PATH)

.PHONY: help setup lint types contracts unit integration test simulate bench bench-heal mutants demo clean

help: ## what can be made
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## .venv from uv.lock and the Pulumi CLI, if they are not there yet
	@bash tools/setup.sh

lint: setup ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## mypy, strict
	$(BIN)/mypy

contracts: setup ## import-linter: the direction of the data
	$(BIN)/lint-imports

unit: setup ## tests without the engine
	$(BIN)/pytest -n $(WORKERS) tests/unit

integration: setup ## tests on the real engine and the sandbox
	$(BIN)/pytest -n $(WORKERS) --dist loadscope tests/integration

test: lint types contracts ## all checks and all tests
	$(BIN)/pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder

bench: setup ## measure a look side by side with what else there is; BENCH="--tenants 10 --others ''" for less
	$(BIN)/python -m bench --write $(BENCH)

simulate: setup ## 10,000 histories of the real reconciler in a simulated world
	$(BIN)/python -m simulator --histories 10000

mutants: setup ## break each safety mechanism and see that tests notice
	$(BIN)/python tools/mutants.py

bench-heal: setup ## measure time to heal, per kind of fault; BENCH_HEAL="--tenants 3" for less
	$(BIN)/python -m bench.heal --write $(BENCH_HEAL)

demo: setup ## deploy three tenants on the sandbox, break them, heal them, prove it
	$(BIN)/python -m sandbox demo

clean: ## remove what setup and the sandbox made
	-$(BIN)/python -m sandbox down
	rm -rf .venv .toolchain .sandbox .stackmend
