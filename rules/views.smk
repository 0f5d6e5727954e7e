"""Copies of stored results where people look for them; a view that differs from what is planned is made again."""


rule view_prepared:
    """What the prepared splits hold."""
    input:
        unpack(plan.view("prepared")),
    output:
        list(at.VIEWS["prepared"]),
    shell:
        "$PYTHON -m pipeline view prepared --dataset {wildcards.dataset} --sources {input.sources}"


rule view_classifier:
    """How well the reference classifier does."""
    input:
        unpack(plan.view("classifier")),
    output:
        list(at.VIEWS["classifier"]),
    shell:
        "$PYTHON -m pipeline view classifier --dataset {wildcards.dataset} --sources {input.sources}"


rule view_tables:
    """The tables of a data set's comparison."""
    input:
        unpack(plan.view("tables")),
    output:
        easel.captioned(at.VIEWS["tables"], "table"),
    shell:
        "$PYTHON -m pipeline view tables --dataset {wildcards.dataset} --sources {input.sources}"


rule view_figures:
    """All figures of a data set's comparison."""
    input:
        unpack(plan.view("figures")),
    output:
        directory(at.FIGURE_FOLDER),
    shell:
        "$PYTHON -m pipeline view figures --dataset {wildcards.dataset} --sources {input.sources}"


rule view_summary:
    """The page that is printed at the end."""
    input:
        unpack(plan.view("summary")),
    output:
        list(at.VIEWS["summary"]),
    shell:
        "$PYTHON -m pipeline view summary --dataset {wildcards.dataset} --sources {input.sources}"


rule view_report:
    """The report of every data set whose results are current."""
    input:
        unpack(plan.view("report")),
    output:
        list(at.VIEWS["report"]),
    shell:
        "$PYTHON -m pipeline view report --sources {input.sources}"
