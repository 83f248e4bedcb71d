# sams_core: `make` lists what there is. Needs python3 (3.11 or newer) and make, nothing else.

PYTHON ?= python3
PORT ?= 8501
RUNS ?= $(SAMS_CORE_RUNS)

VENV = .venv
PY = $(VENV)/bin/python
APP_READY = $(VENV)/.app-ready
DEV_READY = $(VENV)/.dev-ready

# A .venv whose Python has gone (moved, upgraded, half made) is installed again.
ifneq ($(shell $(PY) -c 'import pip' 2>/dev/null && echo works),works)
MISSING = python-environment
endif

.DEFAULT_GOAL = help
.PHONY: help app test lint bench install demo screenshots clean python-environment

help:
	@echo 'make app          serve the explorer at http://localhost:$(PORT)'
	@echo '                    PORT=9000 for another port'
	@echo '                    RUNS=folder for your own checkpoints beside the embedded ones'
	@echo '                    (several folders: RUNS=first:second)'
	@echo 'make test         run every test'
	@echo 'make lint         check style (ruff) and types (mypy)'
	@echo 'make bench        measure speed and memory (QUICK=--quick for under three minutes)'
	@echo 'make install      install into .venv, with the sams-core command'
	@echo 'make demo         train the embedded checkpoints again'
	@echo 'make screenshots  take the pictures of the README again (needs Chromium)'
	@echo 'make clean        remove .venv and everything else that was generated'

app: $(APP_READY)
	@$(PY) -c 'import socket; s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("localhost", $(PORT)))' 2>/dev/null || { \
	  echo 'Port $(PORT) cannot be used: it is taken or not allowed. Choose another: make app PORT=8600'; exit 1; }
	@echo 'Serving the explorer on the embedded checkpoints$(if $(RUNS), and those in $(RUNS)). Ctrl-C stops it.'
	@SAMS_CORE_RUNS='$(RUNS)' exec $(PY) -m streamlit run app.py --server.port=$(PORT) \
	  --server.address=localhost --server.headless=true --browser.gatherUsageStats=false

# One thread a worker: two workers that each take both cores are slower than one.
test: $(DEV_READY)
	SAMS_CORE_RUNS= OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadfile

lint: $(DEV_READY)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

bench: $(DEV_READY)
	$(PY) -m benchmarks $(QUICK)

install: $(APP_READY)
	$(PY) -m pip install --quiet --no-deps --editable .
	@echo 'Ready. Try: $(VENV)/bin/sams-core --help'

demo: $(APP_READY)
	$(PY) -m sams_core.demo

screenshots: $(DEV_READY)
	$(PY) -m tests.browser.screenshots

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis test-artifacts *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

define install_requirements
	@echo 'Installing $(1) into $(VENV) (the first time takes a few minutes) ...'
	@$(PY) -m pip install --quiet --disable-pip-version-check -r $(1) || { \
	  echo; echo 'Installing did not work; the lines above say why. The usual causes: no network, or a'; \
	  echo 'Python that the pinned packages do not know ($(PY) is '"`$(PY) -V`"'; 3.11 to 3.14 are known).'; \
	  exit 1; }
	@touch $@
endef

$(APP_READY): requirements.txt $(MISSING)
	$(call install_requirements,requirements.txt)

$(DEV_READY): requirements-dev.txt requirements.txt $(MISSING)
	$(call install_requirements,requirements-dev.txt)
	@touch $(APP_READY)

python-environment:
	@command -v $(PYTHON) >/dev/null || { \
	  echo '$(PYTHON) was not found. Install Python 3.11 or newer, then run make again.'; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is `$(PYTHON) -V 2>&1`; sams_core needs Python 3.11 or newer."; \
	  for newer in python3.14 python3.13 python3.12 python3.11; do \
	    if $$newer -V >/dev/null 2>&1; then \
	      echo "You have $$newer. Run: make $(MAKECMDGOALS) PYTHON=$$newer"; exit 1; fi; done; \
	  echo 'Install a newer one (macOS: brew install python; Debian, Ubuntu: sudo apt install python3),'; \
	  echo 'then run make again.'; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo '$(PYTHON) cannot make virtual environments: its venv module is not installed.'; \
	  echo 'Debian, Ubuntu: sudo apt install $(notdir $(PYTHON))-venv'; \
	  echo 'Then run make again.'; exit 1; }
	@echo 'Making a Python environment in $(VENV) ...'
	@$(PYTHON) -m venv --clear $(VENV)
