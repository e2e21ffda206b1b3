"""The judge of an experiment: any endpoint that speaks OpenAI's chat completions."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from fastvlm.config_types import Count, Knobs, Positive, Text

VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")


class Judge(Knobs):
    """A language model that scores free answers. Its key stands in the environment and nowhere else."""

    endpoint: Text = Field(description="base URL of an OpenAI-compatible API, as in https://api.openai.com/v1")
    model: Text = Field(description="the judge, by the name that the endpoint knows it by")
    key_variable: Text | None = Field(description="NAME of the environment variable that holds the key; null: the endpoint asks for none")
    timeout: Positive = Field(description="longest wait for an answer, seconds")
    attempts: Count = Field(description="how often a request is sent that is turned away or times out, count")
    concurrent: Count = Field(description="requests at a time, count")
    mm_vet_prompt: Text | None = Field(description="mm-vet_evaluator.py of MM-Vet's release, path; null: the project's own wording")
    llava_wild_rules: Text | None = Field(description="rule.json of LLaVA's release, path; null: the project's own wording")

    @model_validator(mode="after")
    def _holds_no_key(self) -> Judge:
        # These errors do not show what was found: it may be a key.
        if self.key_variable is not None and not VARIABLE.fullmatch(self.key_variable):
            raise ValueError(
                "key_variable: expected the name of an environment variable in capitals, such as JUDGE_KEY; never the key itself"
            )
        if not _is_plain_url(self.endpoint):
            raise ValueError("endpoint: expected http(s)://host/path without a user, a password or a query")
        return self


def _is_plain_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        return (
            url.scheme in ("http", "https")
            and bool(url.hostname)
            and url.port != 0
            and not ("@" in url.netloc or url.query or url.fragment)
        )
    except ValueError:  # a port that is no number, brackets that do not close
        return False
