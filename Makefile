# edgewatch: `make run` and `make test` do all their own set-up.
VENV ?= .venv
BIN := $(VENV)/bin
# Tests run side by side: threads of a library's own would wait for each other, spinning.
PYTEST := OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest
PIP := $(BIN)/pip --disable-pip-version-check --quiet

.PHONY: help run test test-long test-fast lint format bench lock install clean

help:
	@echo "make run        watch the sample footage: cameras, verdicts, events on MQTT"
	@echo "make test       lint, types and every test (installs what the tests need)"
	@echo "make test-long  the tests that take minutes and are no part of make test"
	@echo "make test-fast  the tests that need no broker, RTSP server or browser"
	@echo "make lint       ruff and mypy"
	@echo "make format     ruff format and the fixes ruff is sure of"
	@echo "make bench      speed and memory, as figures, beside other readers (20 minutes)"
	@echo "make lock       write constraints.txt anew from the newest versions"
	@echo "make install    install as a systemd service (root; see docs/install.md)"

run: $(VENV)/.run
	@sh scripts/run_samples.sh $(BIN)/edgewatch

test: $(VENV)/.dev
	@sh scripts/system_packages.sh test
	@$(MAKE) --no-print-directory lint
	$(PYTEST) --numprocesses 3 --dist loadfile

test-long: $(VENV)/.dev
	@sh scripts/system_packages.sh test
	$(PYTEST) -m long
	EDGEWATCH_TEST_KILLS=20 $(PYTEST) tests/integration/test_kill.py

test-fast: $(VENV)/.dev
	$(PYTEST) -m "not integration and not long"

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/bench/.peers
	$(VENV)/bench/bin/python -m bench.pipeline
	$(VENV)/bench/bin/python -m bench.decode

lock:
	sh scripts/lock.sh

install:
	sh systemd/install.sh

clean:
	rm -rf $(VENV) .run build dist *.egg-info src/*.egg-info .mypy_cache .ruff_cache .pytest_cache

# One stamp a set of packages: made anew when what is to be installed changed.
$(VENV)/.run: pyproject.toml constraints.txt
	@sh scripts/system_packages.sh run
	@echo "setting up $(VENV) with what edgewatch needs (once; about a minute)"
	@test -x $(BIN)/python || python3 -m venv $(VENV)
	@$(PIP) install --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@echo "adding what the tests need"
	@$(PIP) install --constraint constraints.txt --editable ".[dev]"
	@touch $@

# Beside the project's own: the other readers are large, and `make test` needs none of them.
$(VENV)/bench/.peers: pyproject.toml constraints.txt
	@echo "setting up $(VENV)/bench with the readers that are compared (2 GB)"
	@test -x $(VENV)/bench/bin/python || python3 -m venv $(VENV)/bench
	@$(VENV)/bench/bin/pip --disable-pip-version-check --quiet install --constraint constraints.txt --editable .
	@$(VENV)/bench/bin/pip --disable-pip-version-check --quiet install --constraint constraints.txt --editable ".[bench]" \
		|| echo "not all of them can be installed here; the table will say which are missing"
	@touch $@
