"""Decode rows and costs -> tables."""

VALIDATION_ROWS = decode_rows("validation", DRAFTING)
TEST_ROWS = decode_rows("test", METHODS)
SUMMED = ["speedup", "acceptance", "acceptance_by_context", "acceptance_by_position", "accepted_length", "cost"]
# One file a model -> one table: which models have it.
COLLECTED = {"learning_curve": TRAINED, "seeing": CONFIG.models if DRAWN else []}
TABLES = expand(
    "{results}/{table}.csv",
    results=RESULTS,
    table=[*SUMMED, "selection", "quality", *(name for name, models in COLLECTED.items() if models)],
)


rule select:
    message:
        "Picking exit layers and draft lengths on validation"
    input:
        rows=VALIDATION_ROWS,
    output:
        selection=f"{RESULTS}/selection.csv",
    log:
        f"{LOGS}/select.log",
    params:
        rows=lambda wildcards, input: each("--rows", input.rows),
        code=code_digest("fastvlm.metrics.speed"),
    resources:
        mem_mb=2000,
        runtime=10,
    shell:
        "(fastvlm select {params.rows} --output {output.selection:q}) 2>&1 | tee {log:q}"


rule tables:
    message:
        "Summing up the test rows"
    input:
        rows=TEST_ROWS,
        cost=expand("{results}/cost/{model}.jsonl", results=RESULTS, model=CONFIG.models),
        selection=rules.select.output.selection,
    output:
        expand("{results}/{table}.csv", results=RESULTS, table=SUMMED),
        provenance=f"{RESULTS}/provenance.json",
    log:
        f"{LOGS}/tables.log",
    params:
        rows=lambda wildcards, input: each("--rows", input.rows),
        cost=lambda wildcards, input: each("--cost", input.cost),
        folder=lambda wildcards, output: Path(output.provenance).parent,
        knobs=to_json(knobs.tables(CONFIG)),
        code=code_digest("fastvlm.tables"),
    resources:
        mem_mb=4000,
        runtime=30,
    shell:
        "(fastvlm tables --knobs {params.knobs:q} {params.rows} {params.cost} --selection {input.selection:q}"
        " --output {params.folder:q}) 2>&1 | tee {log:q}"


rule quality:
    message:
        "Scoring the texts against the references"
    input:
        rows=TEST_ROWS,
        manifests=MANIFESTS,
    output:
        table=f"{RESULTS}/quality.csv",
    log:
        f"{LOGS}/quality.log",
    params:
        rows=lambda wildcards, input: each("--rows", input.rows),
        manifests=lambda wildcards, input: each("--manifest", input.manifests),
        knobs=to_json({}),
        code=code_digest("fastvlm.metrics.captions"),
    resources:
        mem_mb=4000,
        runtime=60,
    shell:
        "(fastvlm quality --knobs {params.knobs:q} {params.rows} {params.manifests} --output {output.table:q}) 2>&1 | tee {log:q}"


rule collect:
    message:
        "Collecting {wildcards.name} of all models"
    input:
        tables=lambda wildcards: list(tables_by_model(wildcards).values()),
    output:
        table=f"{RESULTS}/{{name}}.csv",
    log:
        f"{LOGS}/collect/{{name}}.log",
    params:
        experiment=CONFIG.experiment,
        tables=lambda wildcards: each("--table", (f"{model}={path}" for model, path in tables_by_model(wildcards).items())),
        code=code_digest("fastvlm.collect"),
    wildcard_constraints:
        name=one_of(COLLECTED),
    resources:
        mem_mb=1000,
        runtime=10,
    shell:
        "(fastvlm collect --experiment {params.experiment} {params.tables} --output {output.table:q}) 2>&1 | tee {log:q}"


rule headline:
    message:
        "Writing the headline"
    input:
        tables=expand("{results}/{table}.csv", results=RESULTS, table=[*SUMMED, "selection", "quality"]),
        provenance=rules.tables.output.provenance,
    output:
        headline=f"{RESULTS}/headline.json",
    log:
        f"{LOGS}/headline.log",
    params:
        folder=lambda wildcards, input: Path(input.provenance).parent,
        knobs=to_json({"confidence": CONFIG.statistics.confidence}),
        code=code_digest("fastvlm.headline"),
    resources:
        mem_mb=1000,
        runtime=10,
    shell:
        "(fastvlm headline --knobs {params.knobs:q} --tables {params.folder:q} --output {output.headline:q}) 2>&1 | tee {log:q}"
