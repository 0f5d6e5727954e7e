"""One rule for each stage, all of one form.

What a stage reads is stated in pipeline/workflow/specs.py, what it writes in pipeline/workflow/layout.py, and what it
does in pipeline/stages/. docs/workflow.md has the picture; `snakemake --list-rules` prints the names.
"""

for stage in at.WILDCARDS:

    rule:
        name:
            stage
        input:
            unpack(plan.inputs(stage)),
        output:
            **at.OUTPUTS[stage],
        log:
            at.log(stage),
        benchmark:
            at.benchmark(stage)
        priority: plan.seconds(stage)
        localrule: stage in at.LOCAL
        conda:
            "../envs/stage.yaml"
        params:
            stage=stage,
        shell:
            "$PYTHON -m pipeline {params.stage} --job {wildcards.hash} --log {log}"
