"""Paths, wildcard patterns and the strict check of the configuration, before any rule is read."""

import json
import shlex
from pathlib import Path

from snakemake.logging import logger

from fastvlm import cluster, events, knobs, run_lock
from fastvlm.config import load_config
from fastvlm.errors import UserError
from fastvlm.methods import FITTED, IMITATING, RETRAINED, SKIPPING
from fastvlm.models.checkpoint import checkpoint_files
from fastvlm.place import check_place
from fastvlm.provenance import code_digest


def or_stop(action, *arguments):
    """The action's result; for bad input its one line instead of a traceback through Snakemake."""
    try:
        return action(*arguments)
    except UserError as error:
        raise SystemExit(f"error: {error}") from None


def begin_run():
    """Refuse a second run in this folder, end what an earlier one left in a cluster's queue, and write down from now on what happens."""
    if workflow.is_main_process:
        or_stop(run_lock.hold, run_lock.FILE)
        or_stop(check_place, Path(RESULTS))
        if Path(".snakemake/slurm_logs").is_dir():
            or_stop(cluster.cancel_orphans, Path.cwd())
        EVENTS.open(events.FILE)
        if workflow.local_exec:
            # Its limit of jobs a second leaves a timer a finished job, which looks at all waiting jobs every second, beside jobs that are timed.
            workflow.scheduler.job_rate_limiter = None


EVENTS = events.EventLog()
logger.addHandler(EVENTS)

CONFIG = or_stop(load_config, config, " + ".join(map(str, workflow.configfiles)))
RESULTS, FIGURES, LOGS = (f"{top}/{CONFIG.experiment}" for top in ("results", "figures", "logs"))
METHODS = knobs.decoded_methods(CONFIG)
TUNED = knobs.tuned_methods(CONFIG)
TRAINED = [name for name, model in CONFIG.models.items() if model.source == "train"]
FETCHED = [name for name, model in CONFIG.models.items() if model.source == "hub"]
FOLDER_FILES = {
    name: or_stop(checkpoint_files, Path(model.path)) for name, model in CONFIG.models.items() if model.source == "folder"
}
DRAWN = [name for name, dataset in CONFIG.datasets.items() if dataset.source == "scenes"]
MANIFESTS = expand("{results}/data/{dataset}.jsonl", results=RESULTS, dataset=CONFIG.datasets)


def one_of(names):
    """A pattern that matches these names and, where there is none, nothing."""
    return "|".join(names) or "(?!)"


wildcard_constraints:
    dataset=one_of(CONFIG.datasets),
    model=one_of(CONFIG.models),
    method=one_of(METHODS),
    recipe=one_of(knobs.retrained_methods(CONFIG)),
    network="transformer|mlp",
    seed="|-seed[0-9]+",
    exit_layer="[0-9]+",
    examples="[0-9]+",
    cell="[a-z0-9_-]+",
    shard="[0-9]+",
    name="[a-z_]+",


def timed_cores(wildcards):
    """All of the machine's, so that a timed job is alone on it: the number is known when jobs are made. A cluster is asked for that (resources.smk)."""
    return workflow.cores if CONFIG.decoding.timed and workflow.nodes is None else CONFIG.decoding.threads


def to_json(value):
    return json.dumps(value, sort_keys=True)


def each(option, values):
    """'--option A --option B': how the command line takes a list."""
    return " ".join(f"{option} {shlex.quote(str(value))}" for value in values)


def folders(files):
    return [Path(file).parent for file in files]


def official_files(wildcards):
    """Nothing for drawn scenes; nor where a file is missing, as the stage says that better than a missing input would."""
    dataset = CONFIG.datasets[wildcards.dataset]
    return [] if dataset.source == "scenes" else [path for path in dataset.inputs() if path.is_file()]


def model_folder(wildcards):
    """Where the checkpoint lies that a job runs: of a method with a backbone of its own, that one."""
    if wildcards.get("method") in RETRAINED:
        return f"{RESULTS}/finetuned/{wildcards.model}/{wildcards.method}"
    model = CONFIG.models[wildcards.model]
    return model.path if model.source == "folder" else f"{RESULTS}/models/{wildcards.model}"


def model_files(wildcards):
    """The files of a checkpoint that a stage cannot do without; of one from the hub, that which says where in the cache it is."""
    own = wildcards.get("method") in RETRAINED
    if wildcards.model in FOLDER_FILES and not own:
        return FOLDER_FILES[wildcards.model]
    written = own or CONFIG.models[wildcards.model].source == "train"
    names = ("model.safetensors", "config.json", "tokenizer.json") if written else ("source.json",)
    return [f"{model_folder(wildcards)}/{name}" for name in names]


def seed_mark(seed):
    """How the files of a network's seed are told apart; those of the network that is raced have no mark."""
    return "" if seed == CONFIG.seed else f"-seed{seed}"


def seed_of(wildcards):
    return int(wildcards.seed.removeprefix("-seed") or CONFIG.seed)


def imitation_networks(wildcards):
    """The networks of all exit layers of FastVLM, of the job's seed; none for a job of a method without them."""
    if wildcards.get("method", "fastvlm") not in IMITATING:
        return []
    exit_layers = knobs.exit_layers(CONFIG, wildcards.model, "fastvlm")
    return expand(
        "{results}/imitation/{model}/{network}-exit{exit_layer}{seed}/network.safetensors",
        results=RESULTS,
        model=wildcards.model,
        seed=wildcards.get("seed", ""),
        network=CONFIG.methods.fastvlm.network if exit_layers else [],
        exit_layer=exit_layers,
    )


def searched_skips(wildcards):
    """What the search stage found for a model, for a job of a method that skips and for one of all methods."""
    wanted = [method for method in METHODS if method in SKIPPING and wildcards.get("method", method) == method]
    return [f"{RESULTS}/skips/{wildcards.model}/skips.json"] if wanted else []


def of_each_seed(pattern):
    """model -> its files of each seed of its imitation networks, exit layers within seeds."""
    return {
        model: expand(
            f"{RESULTS}/{pattern}",
            model=model,
            seed=map(seed_mark, knobs.network_seeds(CONFIG)),
            network=CONFIG.methods.fastvlm.network,
            exit_layer=knobs.exit_layers(CONFIG, model, "fastvlm"),
        )
        for model in (CONFIG.models if knobs.spreads(CONFIG) else ())
    }


def flat(files):
    return [file for of in files.values() for file in of]


def named(files):
    """'MODEL=FILE' for each file of each model."""
    return [f"{model}={file}" for model, of in files.items() for file in of]


def fitted_policies(wildcards):
    """What the fit stage wrote for a method, if it fits any policy."""
    wanted = knobs.fits(CONFIG, wildcards.model, wildcards.method)
    return [f"{RESULTS}/policies/{wildcards.model}/{wildcards.method}.json"] if wanted else []


def decode_rows(methods):
    return expand(
        "{results}/decode/{model}/{method}/{dataset}.jsonl", results=RESULTS, model=CONFIG.models, method=methods, dataset=CONFIG.datasets
    )


def table(name):
    """A table of the results, with its caption in the report."""
    return report(f"{RESULTS}/{name}.csv", caption=f"../report/{name}.rst", category="Tables")


def learning_curves():
    """model -> what its training wrote."""
    return {model: rules.pretrain.output.learning_curve.format(model=model) for model in TRAINED}


def finished_headline():
    """What captions quote; nothing until the experiment has run once."""
    path = Path(RESULTS, "headline.json")
    return json.loads(path.read_text()) if path.is_file() else None
