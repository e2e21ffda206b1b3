"""Tables -> figures."""

FIGURE_TABLES = {
    "speedup_by_draft_length": ["speedup", "selection"],
    "speedup_by_method": ["speedup", "selection"],
    "acceptance_by_context": ["acceptance_by_context", "selection"],
    "accepted_length": ["accepted_length", "selection"],
    "limits": ["limits", "quality"],
    **({"draft_length_by_context": ["draft_length_by_context", "selection"]} if "fastvlm" in METHODS else {}),
    **({"gallery": ["gallery.json"]} if "fastvlm" in METHODS else {}),
    **({"predicted_speedup": ["ceiling"]} if set(FITTED) & set(METHODS) else {}),
    **({"learning_curve": ["learning_curve"]} if TRAINED else {}),
}

for figure, tables in FIGURE_TABLES.items():

    rule:
        name:
            f"figure_{figure}"
        message:
            f"Drawing {figure}"
        localrule: True
        input:
            tables=[f"{RESULTS}/{table}" if "." in table else f"{RESULTS}/{table}.csv" for table in tables],
        output:
            png=report(f"{FIGURES}/{figure}.png", caption=f"../report/{figure}.rst", category="Figures"),
            pdf=f"{FIGURES}/{figure}.pdf",
        log:
            f"{LOGS}/figures/{figure}.log",
        params:
            figure=figure,
            folder=lambda wildcards, input: Path(input.tables[0]).parent,
            code=code_digest(f"fastvlm.figures.{figure}"),
        resources:
            mem_mb=2000,
            runtime=10,
        shell:
            "(fastvlm figure {params.figure} --tables {params.folder:q} --output {output.png:q}) 2>&1 | tee {log:q}"
