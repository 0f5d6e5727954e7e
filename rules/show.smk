"""Figures, tracking, and the page that is printed at the end."""


rule figures:
    """What a person looks at first, as PNG and SVG."""
    input:
        unpack(plan.inputs("figures")),
    output:
        **easel.captioned(at.OUTPUTS["figures"], "comparison"),
    log:
        "logs/figures/{dataset}.log",
    conda:
        "../envs/requirements.yaml"
    params:
        identity=plan.identity("figures"),
    shell:
        "$PYTHON -m pipeline figures --dataset {wildcards.dataset}"
        " --identity {params.identity} --log {log}"


rule canvases:
    """How one model draws: its canvases through time."""
    input:
        unpack(plan.inputs("canvases")),
    output:
        **easel.captioned(
            at.OUTPUTS["canvases"], "models", model="{model}", seed="{seed}"
        ),
    log:
        "logs/canvases/{dataset}-{model}-{seed}.log",
    conda:
        "../envs/requirements.yaml"
    params:
        identity=plan.identity("canvases"),
    shell:
        "$PYTHON -m pipeline canvases --dataset {wildcards.dataset} --model {wildcards.model} --seed {wildcards.seed}"
        " --identity {params.identity} --log {log}"


# One rule for each data set: which figures there are depends on the models of its table.
for name in plan.each_dataset:

    rule:
        """What the papers show of trained models: blends, walks, nearest training images, collapses and more."""
        name:
            f"gallery_{name}"
        input:
            unpack(plan.inputs("gallery")),
        output:
            **easel.captioned(plan.gallery(name), "models"),
        log:
            "logs/gallery/{dataset}.log",
        benchmark:
            "benchmarks/gallery/{dataset}.tsv"
        wildcard_constraints:
            dataset=name,
        conda:
            "../envs/requirements.yaml"
        params:
            identity=plan.identity("gallery"),
        shell:
            "$PYTHON -m pipeline gallery --dataset {wildcards.dataset}"
            " --identity {params.identity} --log {log}"


rule track:
    """One MLflow run per model and seed; never a cause of failure."""
    input:
        unpack(plan.inputs("track")),
    output:
        **at.OUTPUTS["track"],
    log:
        "logs/track/{dataset}.log",
    conda:
        "../envs/requirements.yaml"
    params:
        identity=plan.identity("track"),
    shell:
        "$PYTHON -m pipeline track --dataset {wildcards.dataset}"
        " --identity {params.identity} --log {log}"


rule summary:
    """The headline table and the paths of all that was made, printed when the run ends."""
    input:
        unpack(plan.inputs("summary")),
    output:
        **at.OUTPUTS["summary"],
    log:
        "logs/summary/{dataset}.log",
    conda:
        "../envs/stage.yaml"
    params:
        identity=plan.identity("summary"),
    shell:
        "$PYTHON -m pipeline summary --dataset {wildcards.dataset}"
        " --identity {params.identity} --log {log}"


rule report:
    """The page that people look at: every data set whose results are there, in one file that opens offline."""
    input:
        unpack(plan.inputs("report")),
    output:
        **at.OUTPUTS["report"],
    log:
        "logs/report/all.log",
    conda:
        "../envs/requirements.yaml"
    params:
        identity=plan.identity("report"),
    shell:
        "$PYTHON -m pipeline report --identity {params.identity} --log {log}"
