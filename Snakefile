"""The experiment, from images to figures. Start with `snakemake --cores all`; another one: `--configfile config/photos.yaml`.

data -> models -> distillation -> decoding -> tables -> figures, a file of rules each.
"""

from snakemake.utils import min_version

min_version("9.27")

if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/resources.smk"


report: "workflow/report/workflow.rst"


# Captions of the report quote the numbers of this run.
config["headline"] = finished_headline()


include: "workflow/rules/data.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/distill.smk"
include: "workflow/rules/search.smk"
include: "workflow/rules/finetune.smk"
include: "workflow/rules/decode.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/scores.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/ablations.smk"


rule all:
    default_target: True
    input:
        TABLES,
        f"{RESULTS}/headline.json",
        expand("{figures}/{name}.{kind}", figures=FIGURES, name=FIGURE_TABLES, kind=["png", "pdf"]),


onstart:
    begin_run()
