"""Training and sampling."""


rule train:
    """One model, one seed; resumes from its own checkpoint after a kill."""
    input:
        unpack(plan.inputs("train")),
    output:
        **at.OUTPUTS["train"],
    log:
        "logs/train/{dataset}-{model}-{seed}/{hash}.log",
    benchmark:
        "benchmarks/train/{dataset}-{model}-{seed}/{hash}.tsv"
    priority: plan.seconds("train")
    conda:
        "../envs/stage.yaml"
    shell:
        "$PYTHON -m pipeline train --job {wildcards.hash} --log {log}"


rule sample:
    """Generated images, and the canvases of some of them through time."""
    input:
        unpack(plan.inputs("sample")),
    output:
        **at.OUTPUTS["sample"],
    log:
        "logs/sample/{dataset}-{model}-{seed}/{hash}.log",
    benchmark:
        "benchmarks/sample/{dataset}-{model}-{seed}/{hash}.tsv"
    conda:
        "../envs/stage.yaml"
    shell:
        "$PYTHON -m pipeline sample --job {wildcards.hash} --log {log}"
