# Two commands do everything on a fresh Debian or Ubuntu with Python 3.10-3.13: `make demo` and `make test`.

VENV := .venv
PYTHON := $(VENV)/bin/python
READY := $(VENV)/.ready
export PYTHONPATH := LNSegFM:LNSegFMFineTune:Testing/support:Testing/tools
# As the workers have it, see child_environment in lnsegfm/base/processes.py.
export OMP_WAIT_POLICY := PASSIVE

.PHONY: demo test slicer-test preview screenshots lint architecture reference lock bench torture phantom-model system clean

demo: $(READY)
	$(PYTHON) -m demo

test: $(READY) system
	$(PYTHON) -m pytest --numprocesses 2 --dist loadfile

# make slicer-test SLICER=/path/to/Slicer: see docs/how-to/real-slicer.md. It needs no virtual environment, only Python 3.10.
slicer-test:
	@PYTHONPATH=Testing/support:Testing/tools python3 -m real_slicer '$(SLICER)' $(ARGS)

preview: $(READY) system
	$(PYTHON) -m preview

screenshots: $(READY) system
	$(PYTHON) -m preview.screenshots

lint: $(READY)
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	$(VENV)/bin/lint-imports
	$(PYTHON) -m architecture --check
	$(PYTHON) -m command_reference --check
	$(PYTHON) -m api_reference --check

architecture: $(READY)
	$(PYTHON) -m architecture

reference: $(READY)
	$(PYTHON) -m command_reference
	$(PYTHON) -m api_reference

# One lock for Python 3.10 to 3.13 on every system; then each version is resolved from it with wheels alone (acvl-utils is
# published as source only). torch is pinned by hand.
lock: $(READY)
	@sh Testing/tools/make_lock.sh $(VENV)

bench: $(READY)
	$(PYTHON) -m bench

# make torture ARGS="--minutes 5 --seed 7": kills, full disks and damaged files, see docs/explanation/robustness.md.
torture: $(READY)
	$(PYTHON) -m torture $(ARGS)

phantom-model: $(READY)
	$(PYTHON) -m phantom_model

system:
	@sh Testing/tools/system_packages.sh

$(READY): pyproject.toml constraints.txt LNSegFM/Resources/requirements.txt Testing/tools/make_venv.sh
	@sh Testing/tools/make_venv.sh $(VENV)
	@touch $(READY)

clean:
	rm -rf build $(VENV)
