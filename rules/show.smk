"""Figures, tracking, and the page that is printed at the end."""


rule figures:
    """What a person looks at first, as PNG and SVG."""
    input:
        splits=[at.TRAIN, at.TEST, at.SUMMARY],
        samples=plan.runs(at.SAMPLES),
        histories=plan.trainings(at.HISTORY),
        metrics=plan.runs(at.METRICS),
        table=at.TABLE,
        cost=at.COST,
        judges=at.JUDGES,
        standings=at.STANDINGS,
    output:
        [f"{path}.svg" for path in at.FIGURE_PATHS],
        [
            report(
                f"{path}.png",
                caption=f"../report/{at.figure_name(f'{path}.png')}.rst",
                category="{dataset}",
                subcategory="comparison",
                labels={"model": "all", "figure": at.figure_name(f"{path}.png")},
            )
            for path in at.FIGURE_PATHS
        ],
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
        at.CANVASES,
    output:
        f"{at.CANVAS_SHEET}.svg",
        report(
            f"{at.CANVAS_SHEET}.png",
            caption="../report/canvases.rst",
            category="{dataset}",
            subcategory="models",
            labels={"model": "{model}", "figure": "canvases", "seed": "{seed}"},
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
            plan.reads("gallery"),
        output:
            [path for path in plan.gallery(name) if not path.endswith(".png")],
            [
                report(
                    path,
                    caption=f"../report/{at.figure_name(path)}.rst",
                    category="{dataset}",
                    subcategory="models",
                    labels={"model": "all", "figure": at.figure_name(path)},
                )
                for path in plan.gallery(name)
                if path.endswith(".png")
            ],
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


rule report:
    """The page that people look at: every data set whose results are there, in one file that opens offline."""
    input:
        plan.reads("report"),
    output:
        at.REPORT,
    log:
        "logs/report/all.log",
    conda:
        "../envs/requirements.yaml"
    params:
        identity=plan.identity("report"),
    shell:
        "$PYTHON -m pipeline report --identity {params.identity} --log {log}"
