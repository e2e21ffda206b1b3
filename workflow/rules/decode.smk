"""Models, imitation networks and images -> decode rows and costs. These jobs hold the stopwatch: each runs alone on the machine."""


rule decode:
    message:
        "Decoding {wildcards.split} of {wildcards.dataset} with {wildcards.method}"
    input:
        model=model_files,
        manifest=f"{RESULTS}/data/{{dataset}}.jsonl",
        networks=imitation_networks,
    output:
        rows=f"{RESULTS}/decode/{{split}}/{{model}}/{{dataset}}/{{method}}.jsonl",
    log:
        f"{LOGS}/decode/{{split}}-{{model}}-{{dataset}}-{{method}}.log",
    params:
        folder=model_folder,
        imitations=lambda wildcards, input: each("--imitation", folders(input.networks)),
        knobs=lambda wildcards: to_json(knobs.decode(CONFIG, wildcards.model, wildcards.dataset, wildcards.method)),
        code=code_digest("fastvlm.decoding.run"),
    threads: timed_cores
    resources:
        mem_mb=8000,
        runtime=240,
        stopwatch=int(CONFIG.decoding.timed),
    shell:
        "(fastvlm decode --knobs {params.knobs:q} --model {params.folder:q} --manifest {input.manifest:q} --split {wildcards.split}"
        " {params.imitations} --output {output.rows:q}) 2>&1 | tee {log:q}"


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
