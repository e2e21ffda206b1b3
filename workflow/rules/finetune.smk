"""Models -> backbones of the methods that have one of their own."""


def finetuning(wildcards):
    """The knobs of a fine-tuning."""
    return CONFIG.methods.configured()[wildcards.recipe].training


rule finetune:
    message:
        "Fine-tuning {wildcards.model} for {wildcards.recipe}"
    input:
        model=model_files,
        manifests=MANIFESTS,
    output:
        weights=f"{RESULTS}/finetuned/{{model}}/{{recipe}}/model.safetensors",
        config=f"{RESULTS}/finetuned/{{model}}/{{recipe}}/config.json",
        tokenizer=f"{RESULTS}/finetuned/{{model}}/{{recipe}}/tokenizer.json",
        learning_curve=f"{RESULTS}/finetuned/{{model}}/{{recipe}}/learning_curve.csv",
    log:
        f"{LOGS}/finetune/{{model}}-{{recipe}}.log",
    params:
        folder=model_folder,
        manifests=lambda wildcards, input: each("--manifest", input.manifests),
        output_folder=lambda wildcards, output: Path(output.weights).parent,
        knobs=lambda wildcards: to_json(knobs.finetune(CONFIG, wildcards.model, wildcards.recipe)),
        code=code_digest("fastvlm.finetuning.finetune"),
    threads: lambda wildcards: finetuning(wildcards).threads
    resources:
        **model_job("finetune", threads=lambda wildcards: finetuning(wildcards).threads, runtime=240),
    shell:
        "(fastvlm finetune --knobs {params.knobs:q} --model {params.folder:q} {params.manifests}"
        " --output {params.output_folder:q}) 2>&1 | tee {log:q}"
