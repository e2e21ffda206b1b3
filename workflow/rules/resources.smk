"""What a job asks a cluster for. One line a rule: `**model_job(...)` where a model is loaded, `**host_job(...)` where none is.

Memory and time grow with each attempt. profiles/slurm/config.yaml overrides any of it.
"""

from fastvlm.planning.requests import Requests

# Only the process that submits estimates, also in a dry run: a job has what it was given, and a run on one machine asks nobody.
REQUESTS = or_stop(Requests, CONFIG, Path(RESULTS)) if workflow.is_main_process and workflow.nodes is not None else None


def model_job(stage, *, threads, mem_mb=None, runtime=None, timed=False):
    """Of a job with `model` among its wildcards. `mem_mb` and `runtime`, in minutes, are those of a stage of which the plan knows none.

    A timed job has its GPU to itself or, on CPU, its node: neighbours would share caches and memory bandwidth.
    """

    def on_gpu(wildcards):
        return knobs.arithmetic(CONFIG, wildcards.model)["device"] != "cpu"

    def memory(wildcards, attempt):
        return attempt * (mem_mb or (REQUESTS.mem_mb(stage, wildcards.model) if REQUESTS else 8000))

    def minutes(wildcards, attempt):
        return attempt * (runtime or (REQUESTS.minutes(stage, wildcards.model, wildcards.get("method", "fastvlm")) if REQUESTS else 240))

    def alone(wildcards):
        return "--exclusive" if timed and not on_gpu(wildcards) else ""

    return {
        "mem_mb": memory,
        "runtime": minutes,
        "gpu": lambda wildcards: int(on_gpu(wildcards)),
        "cpus_per_task": threads,
        "slurm_extra": alone,
    }


def host_job(*, mem_mb, runtime):
    """Of a job that loads no model and needs no GPU; minutes."""
    return {"mem_mb": lambda wildcards, attempt: attempt * mem_mb, "runtime": lambda wildcards, attempt: attempt * runtime}
