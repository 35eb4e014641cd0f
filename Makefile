# Every target sets up what it needs: a .venv from requirements.lock with plain pip.
PYTHON ?= python3
BIN := .venv/bin
# Two threads are what the numbers in the docs were made with; more cores may use more.
JOBS ?= 2

.PHONY: demo test lint bench verify clean

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch .venv/ready

# What the tests of the adapters need on top: Lightning and transformers. Nothing else does.
.venv/extras: .venv/ready requirements-extras.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -r requirements-extras.lock
	touch .venv/extras

demo: .venv/ready  ## the main job: a critical period, in about two minutes
	$(BIN)/chiasm run stereogram --out runs/stereogram

test: .venv/extras  ## everything but the slow studies
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not slow"

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/ready  ## speed and memory, as ratios within one run
	$(BIN)/python benchmarks/run_all.py

verify: .venv/ready  ## the slow studies: the claims that the docs make, checked
	$(BIN)/python -m pytest -m slow -s

clean:
	rm -rf .venv build dist runs .pytest_cache .mypy_cache .ruff_cache
