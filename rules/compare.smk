"""Metrics, battles, standings and tables."""


rule references:
    """The reference rows: held-out real images, uniform noise, the mean image with pixel noise."""
    input:
        unpack(plan.inputs("references")),
    output:
        **at.OUTPUTS["references"],
    log:
        "logs/references/{dataset}/{hash}.log",
    benchmark:
        "benchmarks/references/{dataset}/{hash}.tsv"
    conda:
        "../envs/stage.yaml"
    shell:
        "$PYTHON -m pipeline references --job {wildcards.hash} --log {log}"


rule augment:
    """What training on a model's images too does for a classifier of rare classes; for imbalanced data sets alone."""
    input:
        unpack(plan.inputs("augment")),
    output:
        **at.OUTPUTS["augment"],
    log:
        "logs/augment/{dataset}-{model}-{seed}/{hash}.log",
    benchmark:
        "benchmarks/augment/{dataset}-{model}-{seed}/{hash}.tsv"
    conda:
        "../envs/stage.yaml"
    shell:
        "$PYTHON -m pipeline augment --job {wildcards.hash} --log {log}"


rule evaluate:
    """All metrics of one model and seed against held-out real images."""
    input:
        unpack(plan.inputs("evaluate")),
    output:
        **at.OUTPUTS["evaluate"],
    log:
        "logs/evaluate/{dataset}-{model}-{seed}/{hash}.log",
    benchmark:
        "benchmarks/evaluate/{dataset}-{model}-{seed}/{hash}.tsv"
    conda:
        "../envs/stage.yaml"
    shell:
        "$PYTHON -m pipeline evaluate --job {wildcards.hash} --log {log}"


rule battle:
    """One model's judges, of every seed, score real images and every contestant's samples."""
    input:
        unpack(plan.inputs("battle")),
    output:
        **at.OUTPUTS["battle"],
    log:
        "logs/battle/{dataset}-{model}/{hash}.log",
    benchmark:
        "benchmarks/battle/{dataset}-{model}/{hash}.tsv"
    conda:
        "../envs/stage.yaml"
    shell:
        "$PYTHON -m pipeline battle --job {wildcards.hash} --log {log}"


rule standings:
    """Battles, the full judge-by-contestant matrix, and the rating of all models."""
    input:
        unpack(plan.inputs("standings")),
    output:
        **at.OUTPUTS["standings"],
    log:
        "logs/standings/{dataset}/{hash}.log",
    conda:
        "../envs/stage.yaml"
    shell:
        "$PYTHON -m pipeline standings --job {wildcards.hash} --log {log}"


rule tables:
    """The main table, the same figures by seed, what every run cost, and the papers' claims."""
    input:
        unpack(plan.inputs("tables")),
    output:
        **at.OUTPUTS["tables"],
    log:
        "logs/tables/{dataset}/{hash}.log",
    conda:
        "../envs/stage.yaml"
    shell:
        "$PYTHON -m pipeline tables --job {wildcards.hash} --log {log}"
