"""`python -m tests.listed_jobs <snakemake's arguments>`: a dry run that prints what each job asks for, one JSON object a line."""

from __future__ import annotations

import json
import logging
import sys

from snakemake.cli import main
from snakemake.logging import logger


def print_job(record: logging.LogRecord) -> bool:
    """A filter, as Snakemake removes the handlers that it finds; lets everything pass."""
    if getattr(record, "event", None) == "job_info":
        resources = {name: value for name, value in record.resources.items() if not name.startswith("_")}
        print(json.dumps({"rule": record.rule_name, "wildcards": record.wildcards, "resources": resources}))
    return True


if __name__ == "__main__":
    logger.addFilter(print_job)
    main(["--dry-run", *sys.argv[1:]])
