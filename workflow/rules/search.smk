"""Models -> the sublayers that a drafter does without."""


rule search:
    message:
        "Searching what {wildcards.model} may skip when it drafts"
    input:
        model=model_files,
        manifests=MANIFESTS,
        texts=[rules.texts.output.rows] if CONFIG.distillation.text == "generated" else [],
    output:
        skips=f"{RESULTS}/skips/{{model}}/skips.json",
        trials=f"{RESULTS}/skips/{{model}}/trials.csv",
    log:
        f"{LOGS}/search/{{model}}.log",
    params:
        folder=model_folder,
        manifests=lambda wildcards, input: each("--manifest", input.manifests),
        texts=lambda wildcards, input: each("--texts", input.texts),
        output_folder=lambda wildcards, output: Path(output.skips).parent,
        knobs=lambda wildcards: to_json(knobs.search(CONFIG, wildcards.model)),
        code=code_digest("fastvlm.decoding.search"),
    threads: CONFIG.distillation.threads
    resources:
        **model_job("search", threads=CONFIG.distillation.threads, runtime=240),
    shell:
        "(fastvlm search --knobs {params.knobs:q} --model {params.folder:q} {params.manifests} {params.texts}"
        " --output {params.output_folder:q}) 2>&1 | tee {log:q}"
