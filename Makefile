# Needs Python >= 3.11 with venv, and make. Every target builds .venv itself; a second call finds it ready.
# Another interpreter: make demo PYTHON=/path/to/python3.12

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?=
CANDIDATES := $(if $(PYTHON),$(PYTHON),python3.13 python3.12 python3.11 python3.14 python3 python)
SUITABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))

# The environment counts as built when it was finished, in this folder (an editable install holds absolute paths),
# and its interpreter still starts. Anything else is removed and built again.
BUILT := $(shell [ "$$(cat $(VENV)/built 2>/dev/null)" = "$(CURDIR)" ] && $(BIN)/python -c "" 2>/dev/null && echo yes)

.PHONY: demo test check bench viewer
.NOTPARALLEL:
.DELETE_ON_ERROR:

demo: $(VENV)/ready-train
	$(BIN)/glassgrad train digits

test: $(VENV)/ready-test
	$(BIN)/python -m pytest -n 2

check: $(VENV)/ready-dev
	$(BIN)/ruff check .
	$(BIN)/mypy --strict
	$(BIN)/python -m pytest -q tests/test_imports.py

# The peers have an environment of their own: they bring gigabytes, and versions of NumPy and SciPy that suit them.
bench:
	$(MAKE) VENV=.venv-bench .venv-bench/ready-bench
	.venv-bench/bin/python bench/run.py
	.venv-bench/bin/python bench/report.py

# Needs Node.js >= 20. What it writes, src/glassgrad/inspect/bundle/, is committed: nobody else needs Node.js.
viewer:
	cd viewer && npm install --no-save --no-audit --no-fund && npm run build

# One stamp per extra, written last: an interrupted installation is done again.
$(VENV)/ready-%: pyproject.toml $(VENV)/built
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

ifneq ($(BUILT),yes)
.PHONY: $(VENV)/built
endif
$(VENV)/built:
	@rm -rf $(VENV)
	@for python in $(CANDIDATES); do \
	    if "$$python" -c '$(SUITABLE)' 2>/dev/null; then \
	        echo "building $(VENV) with $$("$$python" --version)"; \
	        "$$python" -m venv $(VENV) && printf '%s\n' "$(CURDIR)" > $@ && exit 0; \
	        rm -rf $(VENV); exit 1; \
	    fi; \
	done; \
	echo "make: no suitable Python: got none of '$(CANDIDATES)', expected Python >= 3.11 with venv and ensurepip;" \
	     "install python3-venv, or give one: make PYTHON=/path/to/python3" >&2; \
	exit 1
