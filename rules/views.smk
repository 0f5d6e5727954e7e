"""Copies of stored results where people look for them; a view that differs from what is planned is made again."""

for kind in (*at.VIEWS, "figures"):

    rule:
        name:
            f"view_{kind}"
        input:
            unpack(plan.view(kind)),
        output:
            easel.outputs_of_view(kind),
        log:
            at.log_of_view(kind),
        localrule: True
        conda:
            "../envs/stage.yaml"
        shell:
            "$PYTHON -m pipeline view --sources {input.sources} --inputs {input} --to {output} 2> >(tee {log} >&2)"
