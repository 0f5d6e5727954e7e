"""The workflow: raw files, splits, classifier, models, samples, metrics and battles, tables, figures, report.

Each rule runs one command, `python -m pipeline STAGE`. Results are stored under the hash of the job that made them
(pipeline/workflow/job_hash.py); inputs come from the stages' specifications (pipeline/workflow/specs.py). The views
at the end copy stored results to where people look for them.
"""

import sys

sys.path.insert(0, workflow.basedir)
from pipeline.workflow import layout as at
from pipeline import snakefile as easel

# params.yaml, own.yaml, then what --configfile and --config gave
plan = easel.load(config, workflow)


wildcard_constraints:
    dataset=plan.datasets,
    model=plan.models,
    seed=r"\d+",
    hash=at.HASH.pattern,


rule mnist:
    """Everything about MNIST, which is what `make mnist` asks for."""
    input:
        at.TABLE.format(dataset="mnist"),
        at.FIGURE_FOLDER.format(dataset="mnist"),
        at.SUMMARY_TEXT.format(dataset="mnist"),
        at.REPORT,
    localrule: True


include: "rules/stages.smk"
include: "rules/views.smk"


onstart:
    easel.announce(plan, workflow)


onsuccess:
    easel.finish(plan, workflow)


onerror:
    easel.finish(plan, workflow, failed=True)
