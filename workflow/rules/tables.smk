"""Decode rows and costs -> tables."""

TEST_ROWS = decode_rows(METHODS)
SUMMED = ["speedup", "speedup_by_machine", "acceptance", "acceptance_by_context", "acceptance_by_position"]
SUMMED += ["accepted_length", "draft_length_by_context", "precision", "cost"]
MEANS = ["geometric_means", "ranks"]
SCORED = ["quality", "quality_by_tag", "quality_change", "ranking", "chance"]
OPTIONAL = {
    "learning_curve": TRAINED,
    "seeing": DRAWN,
    "network_seeds": knobs.spreads(CONFIG),
    "judged": CONFIG.judge,
    "published": knobs.publishes(CONFIG),
}
TABLES = expand(
    "{results}/{table}.csv",
    results=RESULTS,
    table=[*SUMMED, "selection", "policies", "ceiling", *SCORED, "comparison", "limits", *MEANS, *(name for name, wanted in OPTIONAL.items() if wanted)],
)


rule select:
    message:
        "Picking exit layers and draft lengths on validation"
    localrule: True
    input:
        rows=decode_rows(TUNED),
    output:
        selection=table("selection"),
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
    localrule: True
    input:
        rows=TEST_ROWS,
        machines=sorted({f"{Path(rows).parent}/machines.json" for rows in TEST_ROWS}),
        cost=expand("{results}/cost/{model}.jsonl", results=RESULTS, model=CONFIG.models),
        selection=rules.select.output.selection,
    output:
        [table(name) for name in SUMMED],
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


rule means:
    message:
        "Taking geometric means of the speed-ups and ranking the methods"
    localrule: True
    input:
        rows=TEST_ROWS,
        manifests=MANIFESTS,
        selection=rules.select.output.selection,
    output:
        tables=[table(name) for name in MEANS],
    log:
        f"{LOGS}/means.log",
    params:
        rows=lambda wildcards, input: each("--rows", input.rows),
        manifests=lambda wildcards, input: each("--manifest", input.manifests),
        folder=lambda wildcards, output: Path(output.tables[0]).parent,
        knobs=to_json(knobs.quality(CONFIG)),
        code=code_digest("fastvlm.metrics.means"),
    resources:
        mem_mb=2000,
        runtime=10,
    shell:
        "(fastvlm means --knobs {params.knobs:q} {params.rows} {params.manifests} --selection {input.selection:q}"
        " --output {params.folder:q}) 2>&1 | tee {log:q}"


rule policies:
    message:
        "Comparing the draft-length policies"
    localrule: True
    input:
        rows=decode_rows(TUNED),
        selection=rules.select.output.selection,
    output:
        table=table("policies"),
    log:
        f"{LOGS}/policies.log",
    params:
        rows=lambda wildcards, input: each("--rows", input.rows),
        knobs=to_json(knobs.quality(CONFIG)),
        code=code_digest("fastvlm.metrics.policies"),
    resources:
        mem_mb=2000,
        runtime=10,
    shell:
        "(fastvlm policies --knobs {params.knobs:q} {params.rows} --selection {input.selection:q} --output {output.table:q}) 2>&1 | tee {log:q}"


rule gallery:
    message:
        "Gathering pictures and what FastVLM says of them, token by token"
    localrule: True
    input:
        rows=decode_rows(["baseline", "fastvlm"]),
        manifests=MANIFESTS,
        selection=rules.select.output.selection,
    output:
        gallery=f"{RESULTS}/gallery.json",
    log:
        f"{LOGS}/gallery.log",
    params:
        rows=lambda wildcards, input: each("--rows", input.rows),
        manifests=lambda wildcards, input: each("--manifest", input.manifests),
        code=code_digest("fastvlm.metrics.gallery"),
    resources:
        mem_mb=2000,
        runtime=10,
    shell:
        "(fastvlm gallery {params.rows} {params.manifests} --selection {input.selection:q} --output {output.gallery:q}) 2>&1 | tee {log:q}"


rule ceiling:
    message:
        "Comparing speed-ups with what could be"
    localrule: True
    input:
        rows=decode_rows(TUNED),
        cost=expand("{results}/cost/{model}.jsonl", results=RESULTS, model=CONFIG.models),
        selection=rules.select.output.selection,
    output:
        table=table("ceiling"),
    log:
        f"{LOGS}/ceiling.log",
    params:
        rows=lambda wildcards, input: each("--rows", input.rows),
        cost=lambda wildcards, input: each("--cost", input.cost),
        knobs=to_json(knobs.quality(CONFIG)),
        code=code_digest("fastvlm.metrics.ceiling"),
    resources:
        mem_mb=2000,
        runtime=10,
    shell:
        "(fastvlm ceiling --knobs {params.knobs:q} {params.rows} {params.cost} --selection {input.selection:q}"
        " --output {output.table:q}) 2>&1 | tee {log:q}"


rule see:
    message:
        "Checking whether the texts name what is drawn"
    localrule: True
    input:
        rows=decode_rows(["baseline"]),
        manifests=MANIFESTS,
    output:
        table=table("seeing"),
    log:
        f"{LOGS}/see.log",
    params:
        rows=lambda wildcards, input: each("--rows", input.rows),
        manifests=lambda wildcards, input: each("--manifest", input.manifests),
        code=code_digest("fastvlm.metrics.seeing"),
    resources:
        mem_mb=2000,
        runtime=10,
    shell:
        "(fastvlm see {params.rows} {params.manifests} --output {output.table:q}) 2>&1 | tee {log:q}"


rule seeds:
    message:
        "Comparing imitation networks of several seeds"
    localrule: True
    input:
        cards=flat(of_each_seed("imitation/{model}/{network}-exit{exit_layer}{seed}/card.json")),
        observations=flat(of_each_seed("observe/{model}/fastvlm{seed}.jsonl")),
    output:
        table=table("network_seeds"),
    log:
        f"{LOGS}/seeds.log",
    params:
        experiment=CONFIG.experiment,
        networks=each("--network", named(of_each_seed("imitation/{model}/{network}-exit{exit_layer}{seed}"))),
        observations=each("--observations", named(of_each_seed("observe/{model}/fastvlm{seed}.jsonl"))),
        code=code_digest("fastvlm.metrics.seeds"),
    resources:
        mem_mb=2000,
        runtime=10,
    shell:
        "(fastvlm seeds --experiment {params.experiment} {params.networks} {params.observations} --output {output.table:q}) 2>&1 | tee {log:q}"


rule learning_curve:
    message:
        "Collecting the learning curves of all models"
    localrule: True
    input:
        tables=list(learning_curves().values()),
    output:
        table=table("learning_curve"),
    log:
        f"{LOGS}/learning_curve.log",
    params:
        experiment=CONFIG.experiment,
        tables=each("--table", (f"{model}={path}" for model, path in learning_curves().items())),
        code=code_digest("fastvlm.collect"),
    resources:
        mem_mb=1000,
        runtime=10,
    shell:
        "(fastvlm collect --experiment {params.experiment} {params.tables} --output {output.table:q}) 2>&1 | tee {log:q}"


rule headline:
    message:
        "Writing the headline"
    localrule: True
    input:
        tables=expand("{results}/{table}.csv", results=RESULTS, table=[*SUMMED, "selection", "quality", "geometric_means"]),
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
