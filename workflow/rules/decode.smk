"""Models, imitation networks and images -> decode rows and costs. These jobs hold the stopwatch: each runs alone on the machine."""


rule decode:
    message:
        "Decoding with {wildcards.method} of {wildcards.model}"
    input:
        model=model_files,
        manifests=MANIFESTS,
        networks=imitation_networks,
    output:
        rows=expand("{results}/decode/{{model}}/{{method}}/{dataset}.jsonl", results=RESULTS, dataset=CONFIG.datasets),
    log:
        f"{LOGS}/decode/{{model}}-{{method}}.log",
    params:
        folder=model_folder,
        manifests=lambda wildcards, input: each("--manifest", input.manifests),
        imitations=lambda wildcards, input: each("--imitation", folders(input.networks)),
        output_folder=lambda wildcards, output: Path(output.rows[0]).parent,
        knobs=lambda wildcards: to_json(knobs.decode(CONFIG, wildcards.model, wildcards.method)),
        code=code_digest("fastvlm.decoding.run"),
    threads: timed_cores
    resources:
        mem_mb=8000,
        runtime=240,
        stopwatch=int(CONFIG.decoding.timed),
    shell:
        "(fastvlm decode --knobs {params.knobs:q} --model {params.folder:q} {params.manifests}"
        " {params.imitations} --output {params.output_folder:q}) 2>&1 | tee {log:q}"


rule cost:
    message:
        "Measuring what a draft step and a target pass of {wildcards.model} cost"
    input:
        model=model_files,
        manifest=MANIFESTS[0],
        networks=imitation_networks,
    output:
        rows=f"{RESULTS}/cost/{{model}}.jsonl",
    log:
        f"{LOGS}/cost/{{model}}.log",
    params:
        folder=model_folder,
        imitations=lambda wildcards, input: each("--imitation", folders(input.networks)),
        knobs=lambda wildcards: to_json(knobs.cost(CONFIG, wildcards.model)),
        code=code_digest("fastvlm.metrics.cost_model"),
    threads: timed_cores
    resources:
        mem_mb=8000,
        runtime=60,
        stopwatch=int(CONFIG.decoding.timed),
    shell:
        "(fastvlm cost --knobs {params.knobs:q} --model {params.folder:q} --manifest {input.manifest:q} {params.imitations}"
        " --output {output.rows:q}) 2>&1 | tee {log:q}"
