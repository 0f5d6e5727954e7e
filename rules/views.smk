"""Copies of stored results where people look for them; a view that differs from what is planned is made again."""


rule view_prepared:
    """What the prepared splits hold."""
    input:
        unpack(plan.view("prepared")),
    output:
        list(at.VIEWS["prepared"]),
    log:
        "logs/view_prepared/{dataset}.log",
    conda:
        "../envs/stage.yaml"
    shell:
        "$PYTHON -m pipeline view --sources {input.sources} --inputs {input} --to {output} 2> >(tee {log} >&2)"


rule view_classifier:
    """How well the reference classifier does."""
    input:
        unpack(plan.view("classifier")),
    output:
        list(at.VIEWS["classifier"]),
    log:
        "logs/view_classifier/{dataset}.log",
    conda:
        "../envs/stage.yaml"
    shell:
        "$PYTHON -m pipeline view --sources {input.sources} --inputs {input} --to {output} 2> >(tee {log} >&2)"


rule view_tables:
    """The tables of a data set's comparison."""
    input:
        unpack(plan.view("tables")),
    output:
        easel.captioned(at.VIEWS["tables"], "table"),
    log:
        "logs/view_tables/{dataset}.log",
    conda:
        "../envs/stage.yaml"
    shell:
        "$PYTHON -m pipeline view --sources {input.sources} --inputs {input} --to {output} 2> >(tee {log} >&2)"


rule view_figures:
    """All figures of a data set's comparison."""
    input:
        unpack(plan.view("figures")),
    output:
        directory(at.FIGURE_FOLDER),
    log:
        "logs/view_figures/{dataset}.log",
    conda:
        "../envs/stage.yaml"
    shell:
        "$PYTHON -m pipeline view --sources {input.sources} --inputs {input} --to {output} 2> >(tee {log} >&2)"


rule view_summary:
    """The page that is printed at the end."""
    input:
        unpack(plan.view("summary")),
    output:
        list(at.VIEWS["summary"]),
    log:
        "logs/view_summary/{dataset}.log",
    conda:
        "../envs/stage.yaml"
    shell:
        "$PYTHON -m pipeline view --sources {input.sources} --inputs {input} --to {output} 2> >(tee {log} >&2)"


rule view_report:
    """The report of every data set whose results are current."""
    input:
        unpack(plan.view("report")),
    output:
        list(at.VIEWS["report"]),
    log:
        "logs/view_report/all.log",
    conda:
        "../envs/stage.yaml"
    shell:
        "$PYTHON -m pipeline view --sources {input.sources} --inputs {input} --to {output} 2> >(tee {log} >&2)"
