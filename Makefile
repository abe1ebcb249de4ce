# `make` alone says what there is. Only paths relative to this folder are used, so its own path may have spaces in it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# Tests start hundreds of Pythons: compiled modules are kept, also where the environment says otherwise.
unexport PYTHONDONTWRITEBYTECODE
# As the service has it: whatever reads pictures would else start threads of linear algebra that it does not use.
export OPENBLAS_NUM_THREADS := 1

PYTHON ?= python3
PY := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --no-input
ARGS ?=
# Each takes about 150 MB: name fewer on a small board.
TEST_WORKERS ?= 10
# What the tests of a file share is made once; files begin in the order of tests/conftest.py, the longest first.
BY_FILE := --dist loadfile --no-loadscope-reorder

# A venv does not survive its folder's renaming or a new Python: its stamps go, and it is made again.
$(shell [ "$$(cat .venv/.place 2>/dev/null)" = "$$PWD $$($(PYTHON) -V 2>&1)" ] || rm -f .venv/.place .venv/.locked .venv/.ready)

.PHONY: help
help: ## show this list
	@sed -n 's/^\([a-z][a-zA-Z0-9 %-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

.PHONY: demo
demo: .venv/.ready ## a simulated kiosk, from people arriving to the broker, live; about a minute
	@exec .venv/bin/gatepost demo $(ARGS)

.PHONY: test
test: .venv/.ready ## every test, in TEST_WORKERS processes: most of them wait, so more than there are cores
	@# this looks at every file, so that a new clone compiles each once, and not in all the processes that follow
	$(PY) -m pytest -n 2 --dist load -m alone $(ARGS) || [ $$? = 5 ] # none among those of ARGS
	exec $(PY) -m pytest -n $(TEST_WORKERS) $(BY_FILE) -m 'not bench and not soak and not alone' $(ARGS)

.PHONY: check
check: .venv/.ready ## for every day, a minute or two: lint, types, the tree, the tests without processes, waits or long histories
	@exec $(PY) -m pytest -n 2 $(BY_FILE) -m quick $(ARGS)

.PHONY: guard-pictures
guard-pictures: .venv/.ready ## the pictures of docs/guard.md, from the guard's page; needs `make browser`
	@PYTHONPATH=.:tests/agent/web $(PY) tests/agent/web/guard_pictures.py

.PHONY: browser
browser: | system ## Chromium, its headless shell, a Chinese font and Xvfb by apt, for the tests of the pages; without them these skip
	@systemd/packages $(PYTHON) chromium cjk xvfb
	systemd/packages $(PYTHON) headless_shell || echo "Not for this release: the tests take Chromium itself, and longer."

.PHONY: lint
lint: .venv/.ready ## ruff and mypy, as the tests run them
	@$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

.PHONY: bench
bench: .venv/.ready ## every measurement, as a table with its peer beside it; bench-NAME for one
	@exec $(PY) -m tests.bench $(ARGS)

.PHONY: bench-%
bench-%: .venv/.ready
	@exec $(PY) -m tests.bench $* $(ARGS)

.PHONY: bench-pi
bench-pi: .venv/.ready ## ten minutes on a board: start, idle, code to gate, events; a table and a file to send back
	@BACKLOG=10000 PASSAGES=60 exec $(PY) -m tests.bench start idle blink events --json .cache/bench-pi.json $(ARGS)

.PHONY: soak
soak: .venv/.ready ## a long day with every kind of fault; GATEPOST_SOAK_MINUTES=600
	@exec $(PY) -m pytest -m soak -s tests/system/test_soak.py $(ARGS)

.PHONY: kiosk
kiosk: .venv/.ready dist/.venv/.ready ## install the service on a virtual kiosk, and make it fail (GATEPOST_KIOSK_IMAGE)
	@exec $(PY) tests/system/virtual_kiosk.py $(ARGS)

.PHONY: monitor-test
monitor-test: .venv/.ready ## baked pictures on a real kernel's graphics card, in QEMU, read back from its monitor
	@exec $(PY) tests/system/real_monitor.py

.PHONY: deb
deb: dist/.venv/.ready ## dist/deb/amd64 and dist/deb/arm64: the Debian packages, for any machine to install
	@rm -rf dist/deb
	exec dist/.venv/bin/python systemd/build_deb.py dist/deb $(ARGS)

.PHONY: deb-test
deb-test: .venv/.ready ## as root: the packages on empty machines of Debian 12 and 13, booted, and emulated for arm64
	@$(PY) tests/system/packages.py $(ARGS)
	[ -n "$(ARGS)" ] || exec $(PY) tests/system/fleet.py

.PHONY: test-arm64
test-arm64: .venv/.ready ## as root: the demonstration and the pure tests on emulated arm64, Debian 12 and 13
	@exec $(PY) tests/system/packages.py arm64_demo arm64_tests $(ARGS)

.PHONY: fleet-test
fleet-test: .venv/.ready ## as root: three kiosks by the documents: enrolled, upgraded in two waves, one wiped
	@exec $(PY) tests/system/fleet.py

.PHONY: install
install: dist/.venv/.ready ## as root: build the packages of this machine and install them; see docs/install.md
	@[ "$$(id -u)" = 0 ] || { echo "This needs root: sudo make install" >&2; exit 1; }
	architecture=$$(dpkg --print-architecture)
	rm -rf dist/here
	dist/.venv/bin/python systemd/build_deb.py dist/here "$$architecture" --fast
	install() { apt-get -q -y --allow-downgrades "$$@" install ./dist/here/"$$architecture"/*.deb; }
	install || install --no-install-recommends

.PHONY: rollback
rollback: ## as root: back to the release before
	@exec gatepost-release back

.PHONY: uninstall
uninstall: ## as root: remove the service from this machine; data and configuration stay
	@exec apt-get -q -y remove gatepost 'gatepost-release-*'

.PHONY: lock
lock: ## make the lock files again from pyproject.toml; ARGS=--upgrade for newer versions
	@[ -x .venv-lock/bin/uv ] || { $(PYTHON) -m venv .venv-lock && .venv-lock/bin/python -m pip -q install uv; }
	lock() { .venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --only-binary :all: \
	  --custom-compile-command 'make lock' --no-annotate --no-emit-index-url --no-emit-find-links $(ARGS) --output-file "$$@"; }
	lock requirements.lock pyproject.toml --all-extras
	lock requirements-dev.lock pyproject.toml --all-extras --group dev
	lock requirements-build.lock --group build

.PHONY: clean
clean: ## remove what was made here: venvs, caches, built files
	@rm -rf .venv .venv-* .cache dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- what the commands need, made once

.PHONY: system
system:
	@systemd/packages $(PYTHON) venv zbar mosquitto mosquitto_sub

.venv/.place: | system
	@echo "Making .venv with $$($(PYTHON) -V)"
	$(PYTHON) -m venv --clear .venv
	echo "$$PWD $$($(PYTHON) -V)" > $@

.venv/.locked: requirements-dev.lock .venv/.place
	@echo "Fetching $$(grep -c == $<) packages named in $<, about 120 MB: a minute or two"
	$(PIP) install --require-hashes --only-binary :all: --progress-bar off -r $< |
	  sed -un 's/^ *\(Downloading\|Using cached\) \([^-]*\)-\([^-]*\)-[^ ]*/  \2 \3/p; s/^Installing .*/  unpacking/p' ||
	  { echo "The packages could not be fetched: is this machine online?" >&2; exit 1; }
	touch $@

.venv/.ready: pyproject.toml .venv/.locked | system
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable . && touch $@

dist/.venv/.ready:
	@systemd/packages $(PYTHON) venv
	$(PYTHON) -m venv dist/.venv && touch $@
