"""Tables -> figures."""

FIGURE_TABLES = {
    "speedup_by_draft_length": ["speedup"],
    "speedup_by_method": ["speedup", "selection"],
    "acceptance_by_context": ["acceptance_by_context", "selection"],
    "accepted_length": ["accepted_length", "selection"],
    **({"learning_curve": ["learning_curve"]} if TRAINED else {}),
}


rule figure:
    message:
        "Drawing {wildcards.name}"
    input:
        tables=lambda wildcards: [f"{RESULTS}/{table}.csv" for table in FIGURE_TABLES[wildcards.name]],
    output:
        png=f"{FIGURES}/{{name}}.png",
        pdf=f"{FIGURES}/{{name}}.pdf",
    log:
        f"{LOGS}/figure/{{name}}.log",
    params:
        folder=lambda wildcards, input: Path(input.tables[0]).parent,
        code=lambda wildcards: code_digest(f"fastvlm.figures.{wildcards.name}"),
    resources:
        mem_mb=2000,
        runtime=10,
    shell:
        "(fastvlm figure {wildcards.name} --tables {params.folder:q} --output {output.png:q}) 2>&1 | tee {log:q}"
