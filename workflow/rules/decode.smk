"""Models, imitation networks, skipped sublayers and images -> decode rows and costs. These jobs hold the stopwatch: each runs alone on the machine."""


DECODED = f"{RESULTS}/decode/{{model}}/{{method}}"
SHARDS = knobs.shards(CONFIG)
# One job writes where the tables read; the parts of several are merged first.
PART, OF_PART = (DECODED, "") if SHARDS == 1 else (f"{DECODED}/parts/{{shard}}", "-{shard}")


rule decode:
    message:
        "Decoding with {wildcards.method} of {wildcards.model}"
    input:
        model=model_files,
        manifests=MANIFESTS,
        networks=imitation_networks,
        skips=searched_skips,
        policies=fitted_policies,
    output:
        rows=[f"{PART}/{dataset}.jsonl" for dataset in CONFIG.datasets],
        machines=f"{PART}/machines.json",
    log:
        f"{LOGS}/decode/{{model}}-{{method}}{OF_PART}.log",
    params:
        folder=model_folder,
        manifests=lambda wildcards, input: each("--manifest", input.manifests),
        imitations=lambda wildcards, input: each("--imitation", folders(input.networks)),
        policies=lambda wildcards, input: each("--policies", input.policies),
        skips=lambda wildcards, input: each("--skips", input.skips),
        output_folder=lambda wildcards, output: Path(output.machines).parent,
        journals=f"{DECODED}/.journal",
        knobs=lambda wildcards: to_json(
            knobs.decode(CONFIG, wildcards.model, wildcards.method, int(wildcards.get("shard", 0)))
        ),
        code=code_digest("fastvlm.decoding.run"),
    threads: timed_cores
    resources:
        **model_job("decode", threads=CONFIG.decoding.threads, timed=CONFIG.decoding.timed),
        stopwatch=int(CONFIG.decoding.timed),
    shell:
        "(fastvlm decode --knobs {params.knobs:q} --model {params.folder:q} {params.manifests}"
        " {params.imitations} {params.policies} {params.skips} --output {params.output_folder:q}"
        " --journals {params.journals:q}) 2>&1 | tee {log:q}"


if SHARDS > 1:

    rule merge:
        message:
            "Putting together what {wildcards.method} of {wildcards.model} decoded in parts"
        localrule: True
        input:
            manifests=MANIFESTS,
            parts=expand(rules.decode.output.machines, shard=range(SHARDS), allow_missing=True),
            rows=expand(rules.decode.output.rows, shard=range(SHARDS), allow_missing=True),
        output:
            rows=[f"{DECODED}/{dataset}.jsonl" for dataset in CONFIG.datasets],
            machines=f"{DECODED}/machines.json",
        log:
            f"{LOGS}/merge/{{model}}-{{method}}.log",
        params:
            manifests=lambda wildcards, input: each("--manifest", input.manifests),
            parts=lambda wildcards, input: each("--part", folders(input.parts)),
            folder=lambda wildcards, output: Path(output.machines).parent,
            knobs=lambda wildcards: to_json(knobs.raced(CONFIG, wildcards.method)),
            code=code_digest("fastvlm.decoding.merge"),
        resources:
            mem_mb=4000,
            runtime=30,
        shell:
            "(fastvlm merge --knobs {params.knobs:q} {params.manifests} {params.parts}"
            " --output {params.folder:q}) 2>&1 | tee {log:q}"


rule cost:
    message:
        "Measuring what plain decoding, drafts and verifications of {wildcards.model} cost"
    input:
        model=model_files,
        manifests=MANIFESTS,
        networks=imitation_networks,
        skips=searched_skips,
    output:
        rows=f"{RESULTS}/cost/{{model}}.jsonl",
    log:
        f"{LOGS}/cost/{{model}}.log",
    params:
        folder=model_folder,
        imitations=lambda wildcards, input: each("--imitation", folders(input.networks)),
        manifests=lambda wildcards, input: each("--manifest", input.manifests),
        skips=lambda wildcards, input: each("--skips", input.skips),
        knobs=lambda wildcards: to_json(knobs.cost(CONFIG, wildcards.model)),
        code=code_digest("fastvlm.metrics.cost_model"),
    threads: timed_cores
    resources:
        **model_job("cost", threads=CONFIG.decoding.threads, runtime=60, timed=CONFIG.decoding.timed),
        stopwatch=int(CONFIG.decoding.timed),
    shell:
        "(fastvlm cost --knobs {params.knobs:q} --model {params.folder:q} {params.manifests} {params.imitations}"
        " {params.skips} --output {output.rows:q}) 2>&1 | tee {log:q}"


rule observe:
    message:
        "Watching what {wildcards.method} drafts on validation of {wildcards.model}{wildcards.seed}"
    input:
        model=model_files,
        manifests=MANIFESTS,
        networks=imitation_networks,
        skips=searched_skips,
    output:
        rows=f"{RESULTS}/observe/{{model}}/{{method}}{{seed}}.jsonl",
    log:
        f"{LOGS}/observe/{{model}}-{{method}}{{seed}}.log",
    params:
        folder=model_folder,
        manifests=lambda wildcards, input: each("--manifest", input.manifests),
        imitations=lambda wildcards, input: each("--imitation", folders(input.networks)),
        skips=lambda wildcards, input: each("--skips", input.skips),
        knobs=lambda wildcards: to_json(knobs.observe(CONFIG, wildcards.model, wildcards.method)),
        code=code_digest("fastvlm.decoding.observe"),
    threads: CONFIG.decoding.threads
    resources:
        **model_job("observe", threads=CONFIG.decoding.threads),
    shell:
        "(fastvlm observe --knobs {params.knobs:q} --model {params.folder:q} {params.manifests} {params.imitations}"
        " {params.skips} --output {output.rows:q}) 2>&1 | tee {log:q}"


rule fit:
    message:
        "Fitting the draft lengths of {wildcards.method} of {wildcards.model}"
    input:
        observations=f"{RESULTS}/observe/{{model}}/{{method}}.jsonl",
        cost=rules.cost.output.rows,
    output:
        policies=f"{RESULTS}/policies/{{model}}/{{method}}.json",
    log:
        f"{LOGS}/fit/{{model}}-{{method}}.log",
    params:
        knobs=lambda wildcards: to_json(knobs.fit(CONFIG, wildcards.model, wildcards.method)),
        code=code_digest("fastvlm.decoding.fit"),
    resources:
        **host_job(mem_mb=2000, runtime=30),
    shell:
        "(fastvlm fit --knobs {params.knobs:q} --observations {input.observations:q} --cost {input.cost:q}"
        " --output {output.policies:q}) 2>&1 | tee {log:q}"
