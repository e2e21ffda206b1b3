"""Decode rows, candidates and references -> scores, and the tables that join them with what was timed."""


rule rank:
    message:
        "Ranking the candidate answers with {wildcards.model}"
    input:
        model=model_files,
        manifests=MANIFESTS,
    output:
        rows=f"{RESULTS}/rank/{{model}}.jsonl",
    log:
        f"{LOGS}/rank/{{model}}.log",
    params:
        folder=model_folder,
        manifests=lambda wildcards, input: each("--manifest", input.manifests),
        knobs=lambda wildcards: to_json(knobs.rank(CONFIG, wildcards.model)),
        code=code_digest("fastvlm.decoding.rank_stage"),
    threads: CONFIG.decoding.threads
    resources:
        **model_job("rank", threads=CONFIG.decoding.threads, runtime=240),
    shell:
        "(fastvlm rank --knobs {params.knobs:q} --model {params.folder:q} {params.manifests} --output {output.rows:q}) 2>&1 | tee {log:q}"


rule quality:
    message:
        "Scoring the texts against the references"
    input:
        rows=TEST_ROWS,
        manifests=MANIFESTS,
        ranks=expand(rules.rank.output.rows, model=CONFIG.models) if knobs.ranks(CONFIG) else [],
    output:
        tables=[table(name) for name in SCORED],
    log:
        f"{LOGS}/quality.log",
    params:
        rows=lambda wildcards, input: each("--rows", input.rows),
        manifests=lambda wildcards, input: each("--manifest", input.manifests),
        ranks=lambda wildcards, input: each("--rank", input.ranks),
        folder=lambda wildcards, output: Path(output.tables[0]).parent,
        knobs=to_json(knobs.quality(CONFIG)),
        code=code_digest("fastvlm.metrics.quality"),
    resources:
        **host_job(mem_mb=4000, runtime=60),
    shell:
        "(fastvlm quality --knobs {params.knobs:q} {params.rows} {params.manifests} {params.ranks}"
        " --output {params.folder:q}) 2>&1 | tee {log:q}"


rule judge:
    message:
        "Having a judge score the free answers"
    localrule: True
    input:
        rows=TEST_ROWS,
        manifests=MANIFESTS,
    output:
        table=table("judged"),
    log:
        f"{LOGS}/judge.log",
    params:
        rows=lambda wildcards, input: each("--rows", input.rows),
        manifests=lambda wildcards, input: each("--manifest", input.manifests),
        cache=f"{RESULTS}/judge",
        knobs=to_json(knobs.judge(CONFIG)),
        code=code_digest("fastvlm.judging.table"),
    resources:
        mem_mb=2000,
        runtime=480,
    shell:
        "(fastvlm judge --knobs {params.knobs:q} {params.rows} {params.manifests} --cache {params.cache:q}"
        " --output {output.table:q}) 2>&1 | tee {log:q}"


rule published:
    message:
        "Putting published scores beside ours"
    localrule: True
    input:
        tables=expand("{results}/{table}.csv", results=RESULTS, table=["quality", "quality_by_tag", "judged"]),
    output:
        table=table("published"),
    log:
        f"{LOGS}/published.log",
    params:
        folder=lambda wildcards, input: Path(input.tables[0]).parent,
        knobs=to_json(knobs.published(CONFIG)),
        code=code_digest("fastvlm.metrics.published"),
    resources:
        mem_mb=1000,
        runtime=10,
    shell:
        "(fastvlm published --knobs {params.knobs:q} --tables {params.folder:q} --output {output.table:q}) 2>&1 | tee {log:q}"


rule compare:
    message:
        "Putting all that was measured of each method into one line"
    localrule: True
    input:
        tables=expand(
            "{results}/{table}.csv",
            results=RESULTS,
            table=["speedup", "acceptance", "selection", "quality", "quality_change", "ranking", "chance"],
        ),
    output:
        table=table("comparison"),
    log:
        f"{LOGS}/compare.log",
    params:
        folder=lambda wildcards, input: Path(input.tables[0]).parent,
        code=code_digest("fastvlm.metrics.comparison"),
    resources:
        mem_mb=1000,
        runtime=10,
    shell:
        "(fastvlm compare --tables {params.folder:q} --output {output.table:q}) 2>&1 | tee {log:q}"


rule limits:
    message:
        "Summing up the speed-ups by the length of the text"
    localrule: True
    input:
        rows=TEST_ROWS,
        selection=rules.select.output.selection,
    output:
        table=table("limits"),
    log:
        f"{LOGS}/limits.log",
    params:
        rows=lambda wildcards, input: each("--rows", input.rows),
        knobs=to_json(knobs.quality(CONFIG)),
        code=code_digest("fastvlm.metrics.limits"),
    resources:
        mem_mb=2000,
        runtime=10,
    shell:
        "(fastvlm limits --knobs {params.knobs:q} {params.rows} --selection {input.selection:q} --output {output.table:q}) 2>&1 | tee {log:q}"
