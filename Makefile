# The two commands: `make mnist` and `make test`. Both build .venv first, from envs/requirements.txt.

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
BENCH ?=

.PHONY: env build mnist all table smoke test bench build-bench chaos fuzz audit check lock status tune prune publish verify ui unlock clean

mnist: env  ## fetch MNIST, train the six main models, compare them: tables, figures, standings
	@$(SNAKEMAKE) results/tables/mnist.csv results/figures/mnist results/summary/mnist.txt results/report.html

all: env  ## the same with every model of params.yaml: what the six leave done is not done again
	@$(SNAKEMAKE) --config 'datasets={"mnist": {"models": "all"}}' -- results/tables/mnist.csv results/figures/mnist results/summary/mnist.txt results/report.html

table: env  ## the same of any data set of params.yaml: make table DATASET=cifar10 (docs/data-sets.md)
	@$(SNAKEMAKE) results/tables/$(DATASET).csv results/figures/$(DATASET) results/summary/$(DATASET).txt

smoke: env  ## every model at the smoke budget, in a folder of its own
	@$(SNAKEMAKE) --directory runs/smoke --config budget=smoke -- results/tables/mnist.csv results/figures/mnist results/summary/mnist.txt results/report.html

test: env  ## all tests; what needs Slurm or Chromium is skipped with a loud line
	@$(BIN)/python -m pytest -n 2 --dist loadfile

bench: env  ## ours beside public peers, a textbook loop and the machine's limit, into runs/bench; leave the cores idle (docs/speed.md)
	@cmp -s envs/bench.txt $(PEERS)/.built || $(MAKE) --no-print-directory build-bench
	@$(PEERS)/bin/python -m bench --to runs/bench $(BENCH)

build-bench:
	@echo "easel: building $(PEERS): the peers of envs/bench.txt, beside what .venv has"
	@rm -rf $(PEERS) && $(BIN)/python -m venv --without-pip $(PEERS)
	@$(PEERS)/bin/python envs/link_site_packages.py "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
	@$(BIN)/python -m pip --python $(PEERS)/bin/python install --quiet --disable-pip-version-check --no-deps --require-hashes -r envs/bench.txt \
	  && cp envs/bench.txt $(PEERS)/.built || echo "easel: PEERS ARE MISSING: their cells will be empty"

chaos: env  ## put faults of every kind into copies of the tiny workflow, 200 kills among them (an hour or two)
	@$(BIN)/python -m fault_injection --to runs/chaos.csv
	@EASEL_RESUME_KILLS=20 $(BIN)/python -m pytest tests/test_resume.py -k after_any_step

fuzz: env  ## ten thousand broken params.yaml, command lines, jobs and stamps: each plans or ends in one line
	@EASEL_FUZZ_CASES=10000 $(BIN)/python -m pytest -s tests/test_fuzz.py

audit: env  ## known vulnerabilities of what is locked; fails on those that envs/audit-allowed.txt does not list
	@test -x .venv-audit/bin/pip-audit || { $(PYTHON) -m venv .venv-audit && .venv-audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1; }
	@$(BIN)/python envs/audit.py --pip-audit .venv-audit/bin/pip-audit

check: env  ## format, lint, types
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/snakefmt --check Snakefile rules

status: env  ## what is done, what is stale and why, how long the rest should take
	@$(EASEL) status

tune: env  ## search a model's settings on the validation split: make tune MODEL=draw [DATASET=mnist TRIALS=12]
	@test -n "$(MODEL)" || { echo "easel: which model? make tune MODEL=draw [DATASET=mnist TRIALS=12]"; exit 1; }
	@$(SNAKEMAKE) results/classifier/$(DATASET).json
	@$(EASEL) tune --model $(MODEL) --dataset $(DATASET) --trials $(TRIALS)

prune: env  ## delete what no current identity needs; lists it with sizes and asks first
	@$(EASEL) prune

publish: env  ## commit results to DVC, push them where a remote is set, copy tables and figures to docs/results
	@$(EASEL) publish

verify: env  ## recompute the smoke tables in a temporary folder and compare them with the committed ones
	@$(EASEL) verify

ui: env  ## look at the runs in MLflow, on this machine alone
	MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false $(BIN)/mlflow ui --workers 1 --host 127.0.0.1 --port 5000 --backend-store-uri sqlite:///results/mlflow.db

unlock: env  ## release Snakemake's lock by hand; a killed run's lock is released by the next run itself
	@$(SNAKEMAKE) --unlock

env:  ## build .venv if it was built from another lock file (on a bare Debian: apt install python3-venv make git ca-certificates)
	@cmp -s $(LOCKED) $(BUILT) || $(MAKE) --no-print-directory build

build:
	@echo "easel: building .venv from $(LOCKED) (about 6 GB, one to three minutes)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "easel: found Python %d.%d, expected 3.11 or newer; try make PYTHON=python3.11" % sys.version_info[:2])'
	@$(PYTHON) -m venv .venv || { echo "easel: python3-venv is missing; on Debian: apt install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCKED)
	@cp $(LOCKED) $(BUILT)

lock:  ## resolve envs/*.in again (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header envs/requirements.in -o envs/requirements.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -c envs/requirements.txt envs/stage.in -o envs/stage.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-deps --no-emit-index-url --no-annotate --no-header envs/bench.in -o envs/bench.txt

clean:  ## remove results and prepared data; raw downloads stay
	rm -rf results data/prepared logs benchmarks .snakemake runs
