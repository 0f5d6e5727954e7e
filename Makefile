# `make help` lists the targets. `make mnist` and `make test` are the two main ones; both build .venv from envs/requirements.txt.

CORES ?= $(shell nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
DATASET ?= mnist
TRIALS ?= 12
PYTHON ?= python3
BIN := .venv/bin
SNAKEMAKE := $(BIN)/snakemake --cores $(CORES)
EASEL := $(BIN)/python -m pipeline
LOCKED := envs/requirements.txt
BUILT := .venv/.built
PEERS := .venv-bench
DOCS := .venv-docs
BENCH ?=

.DEFAULT_GOAL := mnist
.PHONY: help env build mnist nine all table smoke test quick bench build-bench chaos fuzz audit check docs build-docs lock status tune prune publish verify ui pull experiments clean

help:  ## list the targets
	@awk -F ':[^#]*## ' '/^[a-z-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

mnist: env  ## fetch MNIST, train six models, compare them: tables, figures, standings, results/report.html
	@$(SNAKEMAKE) results/tables/mnist.csv results/figures/mnist results/summary/mnist.txt results/report.html

nine: env  ## make mnist with three more models, GRAN1, GRAN5 and flow matching; takes about twice as long
	@$(SNAKEMAKE) --config 'datasets={"mnist": {"models": ["vae", "info_vae", "draw", "draw_gan", "dcgan", "gran1", "gran3", "gran5", "flow_matching"]}}' -- results/tables/mnist.csv results/figures/mnist results/summary/mnist.txt results/report.html

all: env  ## make mnist with every model of params.yaml
	@$(SNAKEMAKE) --config 'datasets={"mnist": {"models": "all"}}' -- results/tables/mnist.csv results/figures/mnist results/summary/mnist.txt results/report.html

table: env  ## compute the results of another data set: make table DATASET=cifar10 (docs/data-sets.md)
	@$(SNAKEMAKE) results/tables/$(DATASET).csv results/figures/$(DATASET) results/summary/$(DATASET).txt

smoke: env  ## run every model at the smoke budget (minutes each), in runs/smoke
	@$(SNAKEMAKE) --directory runs/smoke --config budget=smoke -- results/tables/mnist.csv results/figures/mnist results/summary/mnist.txt results/report.html

test: env  ## run all tests; tests that need Slurm or Chromium are skipped and reported if it is missing
	@$(BIN)/python -m pytest -n 2 --dist loadfile

quick: env  ## run the tests that start no workflow, no other tool and few processes
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m "not workflow"

bench: env  ## compare the speed with public implementations, in runs/bench (docs/speed.md); run nothing else meanwhile
	@cmp -s envs/bench.txt $(PEERS)/.built || $(MAKE) --no-print-directory build-bench
	@$(PEERS)/bin/python -m bench --to runs/bench $(BENCH)

build-bench:  ## build .venv-bench: the packages of envs/bench.txt on top of .venv
	@echo "easel: building $(PEERS) from envs/bench.txt"
	@rm -rf $(PEERS) && $(BIN)/python -m venv --without-pip $(PEERS)
	@$(PEERS)/bin/python envs/link_site_packages.py "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
	@$(BIN)/python -m pip --python $(PEERS)/bin/python install --quiet --disable-pip-version-check --no-deps --require-hashes -r envs/bench.txt \
	  && cp envs/bench.txt $(PEERS)/.built || echo "easel: PUBLIC IMPLEMENTATIONS ARE MISSING: their cells will be empty"

chaos: env  ## inject faults into copies of the tiny workflow: kills, full disks, damaged files (one to two hours)
	@$(BIN)/python -m fault_injection --to runs/chaos.csv
	@EASEL_RESUME_KILLS=20 $(BIN)/python -m pytest tests/faults/test_resume.py -k "after_any_step or around_any_change"

fuzz: env  ## test ten thousand malformed inputs: each must work or give a one-line error
	@EASEL_FUZZ_CASES=10000 $(BIN)/python -m pytest -s tests/faults/test_fuzz.py

audit: env  ## list known vulnerabilities of the locked packages; fails for those that envs/audit-allowed.txt does not list
	@test -x .venv-audit/bin/pip-audit || { $(PYTHON) -m venv .venv-audit && .venv-audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1; }
	@$(BIN)/python envs/audit.py --pip-audit .venv-audit/bin/pip-audit

check: env  ## check format, lint and types
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/snakefmt --check Snakefile rules

docs:  ## build the documentation site in runs/docs; fails on any warning
	@cmp -s envs/docs.txt $(DOCS)/.built || $(MAKE) --no-print-directory build-docs
	@NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --strict --site-dir runs/docs && echo "easel: runs/docs/index.html"

build-docs:  ## build .venv-docs from envs/docs.txt
	@echo "easel: building $(DOCS) from envs/docs.txt"
	@rm -rf $(DOCS) && $(PYTHON) -m venv $(DOCS)
	@$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r envs/docs.txt && cp envs/docs.txt $(DOCS)/.built

status: env  ## print what is done, what is stale and why, and how long the rest will take
	@$(EASEL) status --cores $(CORES)

tune: env  ## search a model's settings on the validation split: make tune MODEL=draw [DATASET=mnist TRIALS=12]
	@test -n "$(MODEL)" || { echo "easel: which model? make tune MODEL=draw [DATASET=mnist TRIALS=12]"; exit 1; }
	@$(SNAKEMAKE) results/classifier/$(DATASET).json
	@$(EASEL) tune --model $(MODEL) --dataset $(DATASET) --trials $(TRIALS)

prune: env  ## delete files that no job of params.yaml needs; lists them with sizes and asks first
	@$(EASEL) prune

publish: env  ## record results in DVC, push them if a remote is set, copy tables and figures to results/published
	@$(EASEL) publish

pull: env  ## fetch the results that this commit names from the DVC remote
	@test -f dvc.lock || { echo "easel: dvc.lock: not found in this commit, so there is nothing to pull; expected a commit made after 'make publish'; compute the results: make mnist"; exit 1; }
	@test -n "$$($(BIN)/dvc config core.remote 2>/dev/null)" || { echo "easel: .dvc/config: no default remote; add the remote with the results: dvc remote add --default NAME PLACE"; exit 1; }
	@$(BIN)/dvc pull

experiments: env  ## list DVC's experiments: what they changed, and every row's Frechet distance
	@$(BIN)/dvc exp show --no-pager --only-changed --drop '.*/metrics/.*:(?!fd_classifier$$)|Snakefile|data/|envs/|pipeline|rules'

verify: env  ## recompute the smoke tables in a temporary folder and compare them with the committed ones
	@$(EASEL) verify

ui: env  ## show the runs in MLflow at http://127.0.0.1:5000
	@$(EASEL) ui

env:  ## build .venv from envs/requirements.txt if that has changed (Debian: apt install python3-venv make git ca-certificates)
	@cmp -s $(LOCKED) $(BUILT) || $(MAKE) --no-print-directory build

build:  ## build .venv (make env does this when needed)
	@echo "easel: building .venv from $(LOCKED) (about 6 GB, one to three minutes)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "easel: found Python %d.%d, expected 3.11 or newer; try make PYTHON=python3.11" % sys.version_info[:2])'
	@$(PYTHON) -m venv .venv || { echo "easel: python3-venv is missing; on Debian: apt install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCKED)
	@cp $(LOCKED) $(BUILT)

lock:  ## write the lock files again from envs/*.in (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header envs/requirements.in -o envs/requirements.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -c envs/requirements.txt envs/stage.in -o envs/stage.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-deps --no-emit-index-url --no-annotate --no-header envs/bench.in -o envs/bench.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -c envs/requirements.txt envs/docs.in -o envs/docs.txt

clean:  ## remove results and prepared data; raw downloads and files tracked by Git stay
	@rm -rf data/prepared logs benchmarks .snakemake runs
	@if test -d results; then find results -mindepth 1 -maxdepth 1 ! -name README.md ! -name published -exec rm -rf {} +; fi
