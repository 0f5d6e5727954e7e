"""Figures, tracking, and the page that is printed at the end."""


rule figures:
    """What a person looks at first, as PNG and SVG."""
    input:
        splits=[at.TEST, at.SUMMARY],
        samples=plan.runs(at.SAMPLES),
        histories=plan.trainings(at.HISTORY),
        metrics=plan.runs(at.METRICS),
        table=at.TABLE,
        cost=at.COST,
        judges=at.JUDGES,
        standings=at.STANDINGS,
    output:
        [f"{path}.{kind}" for path in at.FIGURE_PATHS for kind in ("png", "svg")],
    log:
        "logs/figures/{dataset}.log",
    conda:
        "../envs/stage.yaml"
    params:
        identity=plan.identity("figures"),
    shell:
        "$PYTHON -m pipeline figures --dataset {wildcards.dataset}"
        " --identity {params.identity} --log {log}"


rule canvases:
    """How one model draws: its canvases through time."""
    input:
        at.CANVASES,
    output:
        multiext(at.CANVAS_SHEET, ".png", ".svg"),
    log:
        "logs/canvases/{dataset}-{model}-{seed}.log",
    conda:
        "../envs/stage.yaml"
    params:
        identity=plan.identity("canvases"),
    shell:
        "$PYTHON -m pipeline canvases --dataset {wildcards.dataset} --model {wildcards.model} --seed {wildcards.seed}"
        " --identity {params.identity} --log {log}"


rule track:
    """One MLflow run per model and seed; never a cause of failure."""
    input:
        plan.reads("track"),
    output:
        at.TRACKED,
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
        plan.reads("summary"),
    output:
        at.SUMMARY_TEXT,
    log:
        "logs/summary/{dataset}.log",
    conda:
        "../envs/stage.yaml"
    params:
        identity=plan.identity("summary"),
    shell:
        "$PYTHON -m pipeline summary --dataset {wildcards.dataset}"
        " --identity {params.identity} --log {log}"
