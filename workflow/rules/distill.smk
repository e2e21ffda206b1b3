"""Models -> imitation networks, one for each exit layer and seed."""


rule texts:
    message:
        "Writing down what {wildcards.model} says of train images"
    input:
        model=model_files,
        manifests=MANIFESTS,
    output:
        rows=f"{RESULTS}/texts/{{model}}.jsonl",
    log:
        f"{LOGS}/texts/{{model}}.log",
    params:
        folder=model_folder,
        manifests=lambda wildcards, input: each("--manifest", input.manifests),
        knobs=lambda wildcards: to_json(knobs.texts(CONFIG, wildcards.model)),
        code=code_digest("fastvlm.imitation.texts"),
    # Before what is short, with distillation behind it: begun last, the longest jobs would run on while other cores have nothing left.
    priority: 1
    threads: CONFIG.distillation.threads
    resources:
        **model_job("texts", threads=CONFIG.distillation.threads),
    shell:
        "(fastvlm texts --knobs {params.knobs:q} --model {params.folder:q} {params.manifests} --output {output.rows:q}) 2>&1 | tee {log:q}"


rule distill:
    message:
        "Distilling a {wildcards.network} for layer {wildcards.exit_layer} of {wildcards.model}{wildcards.seed}"
    input:
        model=model_files,
        manifests=MANIFESTS,
        texts=[rules.texts.output.rows] if CONFIG.distillation.text == "generated" else [],
    output:
        network=f"{RESULTS}/imitation/{{model}}/{{network}}-exit{{exit_layer}}{{seed}}/network.safetensors",
        card=f"{RESULTS}/imitation/{{model}}/{{network}}-exit{{exit_layer}}{{seed}}/card.json",
        learning_curve=f"{RESULTS}/imitation/{{model}}/{{network}}-exit{{exit_layer}}{{seed}}/learning_curve.csv",
    log:
        f"{LOGS}/distill/{{model}}-{{network}}-exit{{exit_layer}}{{seed}}.log",
    params:
        folder=model_folder,
        manifests=lambda wildcards, input: each("--manifest", input.manifests),
        texts=lambda wildcards, input: each("--texts", input.texts),
        output_folder=lambda wildcards, output: Path(output.card).parent,
        knobs=lambda wildcards: to_json(
            knobs.distill(CONFIG, wildcards.model, wildcards.network, int(wildcards.exit_layer), seed_of(wildcards))
        ),
        code=code_digest("fastvlm.imitation.distill"),
    priority: 1
    threads: CONFIG.distillation.threads
    resources:
        **model_job("distill", threads=CONFIG.distillation.threads, runtime=240),
    shell:
        "(fastvlm distill --knobs {params.knobs:q} --model {params.folder:q} {params.manifests} {params.texts}"
        " --output {params.output_folder:q}) 2>&1 | tee {log:q}"
