"""Metrics, battles, standings and tables."""


rule references:
    """The reference rows: held-out real images, uniform noise, the mean image with pixel noise."""
    input:
        valid=at.VALID,
        train=at.TRAIN,
        test=at.TEST,
        classifier=at.CLASSIFIER,
        features=at.FEATURES,
    output:
        at.REFERENCE_METRICS,
    log:
        "logs/references/{dataset}.log",
    benchmark:
        "benchmarks/references/{dataset}.tsv"
    conda:
        "../envs/stage.yaml"
    params:
        identity=plan.identity("references"),
    shell:
        "$PYTHON -m pipeline references --dataset {wildcards.dataset}"
        " --identity {params.identity} --log {log}"


rule augment:
    """What training on a model's images too does for a classifier of rare classes; for imbalanced data sets alone."""
    input:
        images=at.SAMPLES,
        train=at.TRAIN,
        test=at.TEST,
        classifier=at.CLASSIFIER,
        weights=plan.weights_to_ask,
    output:
        at.AUGMENTED,
    log:
        "logs/augment/{dataset}-{model}-{seed}.log",
    benchmark:
        "benchmarks/augment/{dataset}-{model}-{seed}.tsv"
    conda:
        "../envs/stage.yaml"
    params:
        identity=plan.identity("augment"),
    shell:
        "$PYTHON -m pipeline augment --dataset {wildcards.dataset} --model {wildcards.model} --seed {wildcards.seed}"
        " --identity {params.identity} --log {log}"


rule evaluate:
    """All metrics of one model and seed against held-out real images."""
    input:
        images=at.SAMPLES,
        train=at.TRAIN,
        test=at.TEST,
        classifier=at.CLASSIFIER,
        features=at.FEATURES,
        weights=plan.weights_for_elbo,
        augmented=plan.augmented,
    output:
        at.METRICS,
    log:
        "logs/evaluate/{dataset}-{model}-{seed}.log",
    benchmark:
        "benchmarks/evaluate/{dataset}-{model}-{seed}.tsv"
    conda:
        "../envs/stage.yaml"
    params:
        identity=plan.identity("evaluate"),
    shell:
        "$PYTHON -m pipeline evaluate --dataset {wildcards.dataset} --model {wildcards.model} --seed {wildcards.seed}"
        " --identity {params.identity} --log {log}"


rule battle:
    """One model's judges, of every seed, score real images and every contestant's samples."""
    input:
        weights=plan.seeds(at.WEIGHTS),
        train=at.TRAIN,
        valid=at.VALID,
        test=at.TEST,
        samples=plan.runs(at.SAMPLES),
    output:
        scores=at.SCORES,
        judge=at.JUDGE,
    log:
        "logs/battle/{dataset}-{model}.log",
    benchmark:
        "benchmarks/battle/{dataset}-{model}.tsv"
    conda:
        "../envs/stage.yaml"
    params:
        identity=plan.identity("battle"),
    shell:
        "$PYTHON -m pipeline battle --dataset {wildcards.dataset} --model {wildcards.model}"
        " --identity {params.identity} --log {log}"


rule standings:
    """Battles, the full judge-by-contestant matrix, and the rating of all models."""
    input:
        plan.reads("standings"),
    output:
        battles=at.BATTLES,
        judges=at.JUDGES,
        seeds=at.JUDGES_SEEDS,
        standings=at.STANDINGS,
    log:
        "logs/standings/{dataset}.log",
    conda:
        "../envs/stage.yaml"
    params:
        identity=plan.identity("standings"),
    shell:
        "$PYTHON -m pipeline standings --dataset {wildcards.dataset}"
        " --identity {params.identity} --log {log}"


rule tables:
    """The main table, the same figures by seed, what every run cost, and the papers' claims."""
    input:
        metrics=plan.runs(at.METRICS),
        training=plan.trainings(at.TRAINING),
        costs=plan.trainings(at.TRAINING_COST),
        sampling=plan.runs(at.SAMPLING_COST),
        references=at.REFERENCE_METRICS,
        battles=at.BATTLES,
        judges=at.JUDGES,
        judged=at.JUDGES_SEEDS,
    output:
        table=report(
            at.TABLE,
            caption="../report/table.rst",
            category="{dataset}",
            subcategory="comparison",
            labels={"model": "all", "figure": "table"},
        ),
        markdown=at.TABLE_MARKDOWN,
        latex=at.TABLE_LATEX,
        seeds=at.SEEDS,
        cost=at.COST,
        claims=at.CLAIMS,
        networks=at.NETWORKS,
    log:
        "logs/tables/{dataset}.log",
    conda:
        "../envs/stage.yaml"
    params:
        identity=plan.identity("tables"),
    shell:
        "$PYTHON -m pipeline tables --dataset {wildcards.dataset}"
        " --identity {params.identity} --log {log}"
