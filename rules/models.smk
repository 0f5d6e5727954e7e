"""Training and sampling."""


rule train:
    """One model, one seed; resumes from its own checkpoint after a kill."""
    input:
        unpack(plan.inputs("train")),
    output:
        **at.OUTPUTS["train"],
    log:
        "logs/train/{dataset}-{model}-{seed}.log",
    benchmark:
        "benchmarks/train/{dataset}-{model}-{seed}.tsv"
    priority: plan.seconds("train")
    conda:
        "../envs/stage.yaml"
    params:
        identity=plan.identity("train"),
    shell:
        "$PYTHON -m pipeline train --dataset {wildcards.dataset} --model {wildcards.model} --seed {wildcards.seed}"
        " --identity {params.identity} --log {log}"


rule sample:
    """Generated images, and the canvases of some of them through time."""
    input:
        unpack(plan.inputs("sample")),
    output:
        **at.OUTPUTS["sample"],
    log:
        "logs/sample/{dataset}-{model}-{seed}.log",
    benchmark:
        "benchmarks/sample/{dataset}-{model}-{seed}.tsv"
    conda:
        "../envs/stage.yaml"
    params:
        identity=plan.identity("sample"),
    shell:
        "$PYTHON -m pipeline sample --dataset {wildcards.dataset} --model {wildcards.model} --seed {wildcards.seed}"
        " --identity {params.identity} --log {log}"
