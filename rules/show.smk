"""Figures, tracking, and the page that is printed at the end."""


rule figures:
    """What a person looks at first, as PNG and SVG."""
    input:
        unpack(plan.inputs("figures")),
    output:
        **at.OUTPUTS["figures"],
    log:
        "logs/figures/{dataset}/{hash}.log",
    conda:
        "../envs/stage.yaml"
    shell:
        "$PYTHON -m pipeline figures --job {wildcards.hash} --log {log}"


rule canvases:
    """How one model draws: its canvases through time."""
    input:
        unpack(plan.inputs("canvases")),
    output:
        **at.OUTPUTS["canvases"],
    log:
        "logs/canvases/{dataset}-{model}-{seed}/{hash}.log",
    conda:
        "../envs/stage.yaml"
    shell:
        "$PYTHON -m pipeline canvases --job {wildcards.hash} --log {log}"


rule gallery:
    """What the papers show of trained models; which figures there are depends on the models of the table."""
    input:
        unpack(plan.inputs("gallery")),
    output:
        **at.OUTPUTS["gallery"],
    log:
        "logs/gallery/{dataset}/{hash}.log",
    benchmark:
        "benchmarks/gallery/{dataset}/{hash}.tsv"
    conda:
        "../envs/stage.yaml"
    shell:
        "$PYTHON -m pipeline gallery --job {wildcards.hash} --log {log}"


rule track:
    """One MLflow run per model and seed; never a cause of failure."""
    input:
        unpack(plan.inputs("track")),
    output:
        **at.OUTPUTS["track"],
    log:
        "logs/track/{dataset}/{hash}.log",
    conda:
        "../envs/stage.yaml"
    shell:
        "$PYTHON -m pipeline track --job {wildcards.hash} --log {log}"


rule summary:
    """The headline table and the paths of all that was made, printed when the run ends."""
    input:
        unpack(plan.inputs("summary")),
    output:
        **at.OUTPUTS["summary"],
    log:
        "logs/summary/{dataset}/{hash}.log",
    conda:
        "../envs/stage.yaml"
    shell:
        "$PYTHON -m pipeline summary --job {wildcards.hash} --log {log}"


rule report:
    """The page that people look at: every data set whose results are there, in one file that opens offline."""
    input:
        unpack(plan.inputs("report")),
    output:
        **at.OUTPUTS["report"],
    log:
        "logs/report/all/{hash}.log",
    conda:
        "../envs/stage.yaml"
    shell:
        "$PYTHON -m pipeline report --job {wildcards.hash} --log {log}"
