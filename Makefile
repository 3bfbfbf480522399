# The project's commands. `make help` lists them.
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PY := .venv/bin/python
READY := .venv/.ready
SOURCES := components provider tools tests
# How many test files run at a time; each worker has a cluster and a Pulumi home of its own, some 2 GB.
WORKERS ?= 3
PYTEST := $(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
export UV_PYTHON_DOWNLOADS := never

.PHONY: help setup tools up down pulumi examples example-eks example-gke example-existing-cluster example-fleet test \
	test-unit test-engine test-faults test-examples reliability bench bench-quick bench-report lint format lock schema \
	dist doctor clean

help: ## List the targets and what steers them
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-24s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo 'Environment:'
	@echo '  PYTHON                     the Python to use, 3.10 to 3.13 (for setup)'
	@echo '  CODECANVAS_CACHE           where tools and local clusters are kept, instead of the cache folder of the user'
	@echo '  CODECANVAS_KUBECONFIG      a cluster of your own for `make up`, instead of the local one'
	@echo '  CODECANVAS_TOOL_<NAME>     an executable to use, as in CODECANVAS_TOOL_PULUMI=/usr/bin/pulumi'
	@echo '  ARGS, ARGS_STOP            for `make bench`: options of its rounds, and of its stops of dev environments'
	@echo '  WORKERS                    how many test files run at a time (3)'
	@echo '  CODECANVAS_STAND_INS=1     take the stand-ins of tools/standin even where the real tools can be had'
	@echo '  CODECANVAS_OFFLINE=1       do not even try to download official releases'
	@echo '  CODECANVAS_RELEASE_MIRROR  where to download them: https://HOST/PATH is read from <mirror>/HOST/PATH'

setup: $(READY) ## Make .venv with the locked packages and the project in it
	@echo 'setup: .venv is ready'

$(READY): pyproject.toml requirements.lock tools/setup.sh
	@tools/setup.sh
	@touch $@

tools: $(READY) ## Find, download or build the tools that a run needs
	@$(PY) -m tools tools >/dev/null

up: $(READY) ## Start the local cluster and bring up two computing platforms on it
	@$(PY) -m tools up

down: $(READY) ## Take the platforms down and stop the local cluster
	@$(PY) -m tools down

pulumi: $(READY) ## Run a pulumi command on that stack, as in ARGS='stack output platforms'
	@$(PY) -m tools pulumi $(ARGS)

example-eks: tools ## Live the life of examples/eks: up, no change, freeze, unfreeze, destroy; AWS is a stand-in
	@$(PY) -m tests.examples eks

example-gke: tools ## The same for examples/gke; Google Cloud is a stand-in
	@$(PY) -m tests.examples gke

example-existing-cluster: tools ## The same for examples/existing-cluster
	@$(PY) -m tests.examples existing-cluster

example-fleet: tools ## The same for a region of examples/fleet
	@$(PY) -m tests.examples fleet

examples: tools ## All of them, one after the other
	@$(PY) -m tests.examples

test: tools ## Run every test but those marked slow (pytest -m slow)
	@echo 'test: everything but what is slow'
	@$(PYTEST)

test-unit: $(READY) ## Run the unit tests
	@echo 'test: tests/unit'
	@$(PYTEST) tests/unit

test-engine: tools ## Run the tests on the real engine and a real API server
	@echo 'test: tests/engine'
	@$(PYTEST) tests/engine

test-examples: tools ## Run the tests of the examples
	@echo 'test: tests/examples'
	@$(PYTEST) tests/examples

test-faults: tools ## Try the faults of docs/reliability.md, but for what waits for minutes (pytest -m slow)
	@echo 'test: faults'
	@$(PYTEST) -m 'fault and not slow'

reliability: $(READY) ## Write docs/reliability.md from the registrations of the tests
	@$(PY) -m tests.support.faults

bench: tools ## Measure beside raw Pulumi, Helm and kubectl; adds rounds to docs/performance.jsonl, hours
	@$(PY) -m tests.bench run $(ARGS)
	@$(PY) -m tests.bench stop $(ARGS_STOP)
	@$(MAKE) bench-report

bench-quick: tools ## The same with 3 platforms and one round, in less than 3 minutes; keeps nothing
	@rm -f .cache/bench-quick.jsonl
	@$(PY) -m tests.bench run --results .cache/bench-quick.jsonl --sizes 3 --rounds 1
	@$(PY) -m tests.bench show --results .cache/bench-quick.jsonl
	@rm -f .cache/bench-quick.jsonl

bench-report: $(READY) ## Write tables and plot of docs/performance.md from the results
	@$(PY) -m tests.bench report

lint: $(READY) ## Check style, types and the direction of imports
	@echo 'lint: ruff check'
	@$(PY) -m ruff check
	@echo 'lint: ruff format'
	@$(PY) -m ruff format --check
	@echo 'lint: mypy'
	@$(PY) -m mypy --strict $(SOURCES)
	@echo 'lint: imports'
	@.venv/bin/lint-imports

format: $(READY) ## Format the code and mend what ruff can
	@$(PY) -m ruff check --fix
	@$(PY) -m ruff format

lock: $(READY) ## Choose the versions in the two requirements.lock anew, as pyproject.toml allows; kept where they fit
	@echo 'lock: requirements.lock'
	@$(PY) -m uv pip compile pyproject.toml --quiet --group dev --universal --python-version 3.10 \
		--generate-hashes --no-header --output-file requirements.lock
	@echo 'lock: examples/requirements.lock'
	@$(PY) -m uv pip compile examples/requirements.in pyproject.toml --quiet --extra eks --extra gke -c requirements.lock \
		--universal --python-version 3.10 --generate-hashes --no-header --output-file examples/requirements.lock

schema: $(READY) ## Write the package's schema anew from the code
	@echo 'schema: provider/codecanvas_provider/schema.json'
	@$(PY) -m codecanvas_provider.schema

dist: $(READY) ## Make wheel, sdist and plugin archive; others as in PLATFORMS='linux-arm64 darwin-arm64'
	@$(PY) -m tools dist $(PLATFORMS)

doctor: $(READY) ## Say what is here, what would be downloaded or built, and what is missing
	@$(PY) -m tools doctor

clean: ## Remove what these commands made in the checkout; the cache (see doctor) stays
	@echo 'clean: .venv, .cache and the tools'"'"' caches'
	@rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist build
	@find $(SOURCES) examples policies -name __pycache__ -type d -prune -exec rm -rf {} +
