"""The workflow: raw files, splits, classifier, models, samples, metrics and battles, tables, figures.

Each rule runs one command, `python -m pipeline STAGE`. What makes a job stale is the identity in its params, a digest of
its block of params.yaml, its code, its libraries and what it reads (pipeline/workflow/job_hash.py), never a clock.
"""

import sys

sys.path.insert(0, workflow.basedir)
from pipeline.workflow import layout as at
from pipeline.workflow import snakefile as easel

config.update(easel.plain(f"{workflow.basedir}/params.yaml"))


configfile: f"{workflow.basedir}/params.yaml"


plan = easel.load(config, workflow)


wildcard_constraints:
    dataset=plan.datasets,
    model=plan.models,
    seed=r"\d+",


localrules:
    mnist,
    fetch,
    standings,
    tables,
    figures,
    canvases,
    track,
    summary,
    report,


rule mnist:
    """Everything about MNIST, which is what `make mnist` asks for."""
    input:
        at.SUMMARY_TEXT.format(dataset="mnist"),
        at.REPORT,


include: "rules/data.smk"
include: "rules/models.smk"
include: "rules/compare.smk"
include: "rules/show.smk"


onstart:
    easel.announce(workflow)


onsuccess:
    easel.finish(workflow)


onerror:
    easel.finish(workflow, failed=True)
