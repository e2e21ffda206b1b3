"""What each part of the distillation is worth: `snakemake ablations`, which nothing else depends on."""

from fastvlm import ablations

ABLATED = {model: ablations.cells(CONFIG, model) for model in ablations.models(CONFIG)}
ABLATED_DATASETS = CONFIG.ablations.datasets if CONFIG.ablations else ()
ABLATIONS = f"{RESULTS}/ablations"


def network_of(model, cell):
    """The folder of a cell's network: one that the experiment distils for itself, where it has the same knobs."""
    told = ABLATED[model][cell]
    own = told in ablations.own_networks(CONFIG, model)
    return f"{RESULTS}/imitation/{model}/{told['network']}-exit{told['exit_layer']}" if own else f"{ABLATIONS}/{model}/{cell}"


def texts_of(wildcards):
    """None where a cell's network learns on the references, else the experiment's texts or those of another number of images."""
    told = ABLATED[wildcards.model][wildcards.cell]
    if told["text"] != "generated":
        return []
    if told["examples"] == CONFIG.distillation.examples:
        return [rules.texts.output.rows.format(model=wildcards.model)]
    return [rules.texts_of_other_number.output.rows.format(model=wildcards.model, examples=told["examples"])]


def line_of_table(line):
    """What the table is told of a line: the folders too that hold its network, its decode rows and those of the experiment's own."""
    network, default = network_of(line.model, line.cell), int(line.cell == ablations.DEFAULT)
    rows, default_rows = (f"{ABLATIONS}/{line.model}/{cell}/decode" for cell in (line.cell, ablations.DEFAULT))
    named = {"model": line.model, "factor": line.factor, "value": line.value, "default": default}
    return named | {"network": network, "rows": rows, "default_rows": default_rows}


use rule texts as texts_of_other_number with:
    output:
        rows=f"{ABLATIONS}/{{model}}/texts-{{examples}}.jsonl",
    log:
        f"{LOGS}/ablations/{{model}}-texts-{{examples}}.log",
    params:
        knobs=lambda wildcards: to_json(knobs.texts(CONFIG, wildcards.model) | {"examples": int(wildcards.examples)}),


use rule distill as distill_variation with:
    message:
        "Distilling {wildcards.cell} of {wildcards.model}"
    input:
        model=model_files,
        manifests=MANIFESTS,
        texts=texts_of,
    output:
        network=f"{ABLATIONS}/{{model}}/{{cell}}/network.safetensors",
        card=f"{ABLATIONS}/{{model}}/{{cell}}/card.json",
        learning_curve=f"{ABLATIONS}/{{model}}/{{cell}}/learning_curve.csv",
    log:
        f"{LOGS}/ablations/{{model}}-{{cell}}-distill.log",
    params:
        knobs=lambda wildcards: to_json(ABLATED[wildcards.model][wildcards.cell]),


use rule decode as decode_variation with:
    message:
        "Decoding with {wildcards.cell} of {wildcards.model}"
    input:
        model=model_files,
        manifests=expand("{results}/data/{dataset}.jsonl", results=RESULTS, dataset=ABLATED_DATASETS),
        networks=lambda wildcards: [f"{network_of(wildcards.model, wildcards.cell)}/network.safetensors"],
        skips=[],
        policies=[],
    output:
        rows=expand("{ablations}/{{model}}/{{cell}}/decode/{dataset}.jsonl", ablations=ABLATIONS, dataset=ABLATED_DATASETS),
        machines=f"{ABLATIONS}/{{model}}/{{cell}}/decode/machines.json",
    log:
        f"{LOGS}/ablations/{{model}}-{{cell}}-decode.log",
    params:
        journals=f"{ABLATIONS}/{{model}}/{{cell}}/decode/.journal",
        knobs=lambda wildcards: to_json(ablations.decode(CONFIG, wildcards.model, wildcards.cell)),


rule ablate:
    message:
        "Comparing what was varied"
    localrule: True
    input:
        rows=[expand(rules.decode_variation.output.rows, model=model, cell=cells) for model, cells in ABLATED.items()],
        curves=[f"{network_of(model, cell)}/learning_curve.csv" for model, cells in ABLATED.items() for cell in cells],
    output:
        table=table("ablations"),
    log:
        f"{LOGS}/ablations/table.log",
    params:
        knobs=to_json(
            {
                **knobs.tables(CONFIG),
                "datasets": list(ABLATED_DATASETS),
                "lines": list(map(line_of_table, ablations.lines(CONFIG))),
            }
        ),
        code=code_digest("fastvlm.metrics.ablations"),
    resources:
        mem_mb=2000,
        runtime=10,
    shell:
        "(fastvlm ablate --knobs {params.knobs:q} --output {output.table:q}) 2>&1 | tee {log:q}"


rule figure_ablations:
    message:
        "Drawing ablations"
    localrule: True
    input:
        table=rules.ablate.output.table,
    output:
        png=report(f"{FIGURES}/ablations.png", caption="../report/figure_ablations.rst", category="Figures"),
        pdf=f"{FIGURES}/ablations.pdf",
    log:
        f"{LOGS}/figures/ablations.log",
    params:
        folder=lambda wildcards, input: Path(input.table).parent,
        code=code_digest("fastvlm.figures.ablations"),
    resources:
        mem_mb=2000,
        runtime=10,
    shell:
        "(fastvlm figure ablations --tables {params.folder:q} --output {output.png:q}) 2>&1 | tee {log:q}"


rule ablations:
    input:
        rules.ablate.output,
        rules.figure_ablations.output,
