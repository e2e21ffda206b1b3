"""Manifests -> small models; checkpoints of the hub -> the Hugging Face cache."""


rule pretrain:
    message:
        "Training {wildcards.model}"
    input:
        manifests=MANIFESTS,
    output:
        weights=f"{RESULTS}/models/{{model}}/model.safetensors",
        config=f"{RESULTS}/models/{{model}}/config.json",
        generation=f"{RESULTS}/models/{{model}}/generation_config.json",
        tokenizer=f"{RESULTS}/models/{{model}}/tokenizer.json",
        tokenizer_config=f"{RESULTS}/models/{{model}}/tokenizer_config.json",
        processor=f"{RESULTS}/models/{{model}}/processor_config.json",
        learning_curve=f"{RESULTS}/models/{{model}}/learning_curve.csv",
    log:
        f"{LOGS}/pretrain/{{model}}.log",
    params:
        manifests=lambda wildcards, input: each("--manifest", input.manifests),
        folder=model_folder,
        knobs=lambda wildcards: to_json(knobs.pretrain(CONFIG, wildcards.model)),
        code=code_digest("fastvlm.models.pretrain"),
    wildcard_constraints:
        model=one_of(TRAINED),
    threads: lambda wildcards: CONFIG.models[wildcards.model].training.threads
    # Before all else, the longest first: on one core and begun late, a training would keep all timed jobs waiting.
    priority: lambda wildcards: knobs.training_length(CONFIG, wildcards.model)
    resources:
        **model_job(
            "pretrain",
            threads=lambda wildcards: CONFIG.models[wildcards.model].training.threads,
            mem_mb=8000,
            runtime=240,
        ),
    shell:
        "(fastvlm pretrain --knobs {params.knobs:q} {params.manifests} --output {params.folder:q}) 2>&1 | tee {log:q}"


rule fetch:
    message:
        "Fetching {wildcards.model} from the hub"
    localrule: True
    output:
        source=f"{RESULTS}/models/{{model}}/source.json",
    log:
        f"{LOGS}/fetch/{{model}}.log",
    params:
        folder=model_folder,
        knobs=lambda wildcards: to_json(knobs.fetch(CONFIG, wildcards.model)),
        code=code_digest("fastvlm.models.hub"),
    wildcard_constraints:
        model=one_of(FETCHED),
    resources:
        mem_mb=2000,
        runtime=480,
    shell:
        "(fastvlm fetch --knobs {params.knobs:q} --output {params.folder:q}) 2>&1 | tee {log:q}"
