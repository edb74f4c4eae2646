# The commands of the project. `make help` lists them.
PYTHON ?= python3
BIN := .venv/bin
BENCH := .venv-bench

.PHONY: install demo test check bench soak quality notebook wheel clean help

install: .venv/installed ## make .venv with everything that is needed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: install ## record the city, run two policies on two seeds, compare them, draw the figures
	$(BIN)/iovsim run demo --policy all-available --policy energy-budget --seeds 1,2 --jobs 2 --overwrite --out runs/demo
	$(BIN)/iovsim compare runs/demo --csv runs/demo/comparison.csv
	$(BIN)/iovsim figures runs/demo --out runs/demo/figures

test: install check ## run all checks and tests
	$(BIN)/pytest -n 2 --dist worksteal

check: install ## formatting, lint, types, and the direction of imports
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(BENCH)/installed ## measure the parts, beside SUMO, Flower and pfl; PARTS="record replay fidelity" chooses
	$(BENCH)/bin/python -m iovsim.bench $(PARTS)

# A place of its own: the other frameworks ask for older versions of some of our packages.
$(BENCH)/installed: pyproject.toml constraints-bench.txt
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/pip install --quiet --disable-pip-version-check --constraint constraints-bench.txt --editable '.[bench]'
	@touch $@

soak: install ## kill runs at 30 moments and workers of a study at 20, go on, and compare bit for bit
	$(BIN)/python -m iovsim.bench.soak --moments 30
	$(BIN)/python -m iovsim.bench.soak --moments 20 --workers study study.toml --out runs --jobs 2

quality: install ## what the built-in model is worth; PHOTOGRAPHS=folder adds gtsrb32.npz and trafficlight32.npz
	$(BIN)/python -m iovsim.bench.quality $(if $(PHOTOGRAPHS),--photographs $(PHOTOGRAPHS))

notebook: install ## run analysis/example.ipynb anew, and keep what its cells show
	$(BIN)/jupyter-execute --NotebookClient.record_timing=False --inplace analysis/example.ipynb

wheel: install ## build the wheel into dist/
	$(BIN)/python -m build --wheel --outdir dist

clean: ## remove everything that the other targets have made
	rm -rf .venv $(BENCH) build dist runs *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12
