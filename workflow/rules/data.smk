"""Datasets of the configuration -> manifests."""


rule data:
    message:
        "Writing the manifest of {wildcards.dataset}"
    localrule: True
    input:
        files=official_files,
    output:
        manifest=f"{RESULTS}/data/{{dataset}}.jsonl",
    log:
        f"{LOGS}/data/{{dataset}}.log",
    params:
        seed=CONFIG.seed,
        knobs=lambda wildcards: to_json(knobs.data(CONFIG, wildcards.dataset)),
        code=code_digest("fastvlm.data.dataset"),
    resources:
        mem_mb=2000,
        runtime=60,
    shell:
        "(fastvlm data --dataset {wildcards.dataset} --seed {params.seed} --knobs {params.knobs:q}"
        " --output {output.manifest:q}) 2>&1 | tee {log:q}"
