"""Asks the judge: tries again where trouble may pass, keeps every answer, and shows the key to nobody but the endpoint.

Nothing that the endpoint says of an error, and no text of an exception, is passed on: either may repeat the key.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

from fastvlm.errors import UserError
from fastvlm.rows import write_json

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0  # seconds between attempts, doubled from one to the next
MAY_PASS = {408, 409, 425, 429}
NEVER_RIGHT = {401: "does not accept the key", 402: "asks for payment", 404: "knows no such path or model"}
SHORTEST_KEY = 8  # Shorter ones stand in for a key where none is asked for, and may occur in any text.

Body = dict[str, Any]


class Answer(NamedTuple):
    """What the judge said, who it says it is, and the day (UTC)."""

    text: str
    judge: str
    date: str


class NoAnswer(Exception):
    """The judge was asked and did not answer; the message is the reason as a table gives it."""


class _MayPass(Exception):
    """The reason, and the seconds that the endpoint asks to wait."""

    def __init__(self, reason: str, wait: float = 0.0):
        super().__init__(reason)
        self.wait = wait


class Client:
    """One endpoint with one key; `ask` may be called from several threads at once. A context manager.

    `knobs` are those of `config_judge.Judge`; `cache` is the folder that keeps the answers. Raises `UserError` where the
    variable of the key is not set or holds what cannot be sent.
    """

    def __init__(self, knobs: Mapping[str, Any], cache: Path):
        self._knobs, self._cache = knobs, cache
        self._key = _read_key(knobs["key_variable"])
        self._url = f"{knobs['endpoint'].rstrip('/')}/chat/completions"
        self._stopped = threading.Event()
        self._http = httpx2.Client(timeout=knobs["timeout"], headers={"Authorization": f"Bearer {self._key}"} if self._key else {})

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
        self._http.close()

    def stop(self) -> None:
        """End all waiting between attempts; what waits has no answer."""
        self._stopped.set()

    def ask(self, messages: list[dict[str, str]], *, temperature: float, max_tokens: int) -> Answer:
        """The judge's answer, from the cache where this was asked before.

        Raises `NoAnswer` where it times out, refuses or stays broken, and `UserError` where no request of the run can succeed.
        """
        body = {"model": self._knobs["model"], "messages": messages, "temperature": temperature, "max_tokens": max_tokens}
        path = self._cache / f"{_digest(self._url, body)}.json"
        if path.is_file():
            return _read_answer(path)
        answer = self._ask_again_and_again(body)
        write_json(path, {"request": body} | answer._asdict())
        return answer

    def _ask_again_and_again(self, body: Body) -> Answer:
        wait = FIRST_WAIT
        for attempts_left in reversed(range(self._knobs["attempts"])):
            try:
                return self._ask_once(body)
            except _MayPass as trouble:
                if not attempts_left:
                    raise NoAnswer(str(trouble)) from None
                pause = min(max(wait, trouble.wait), LONGEST_WAIT)
            except httpx2.ConnectError:
                if not attempts_left:
                    raise self._hopeless("could not be reached") from None
                pause = wait
            if self._stopped.wait(pause):
                break
            wait = min(2 * wait, LONGEST_WAIT)
        raise NoAnswer("stopped")

    def _ask_once(self, body: Body) -> Answer:
        try:
            response = self._http.post(self._url, json=body)
        except httpx2.ConnectError:
            raise
        except httpx2.TimeoutException:
            raise _MayPass("timed out") from None
        except httpx2.HTTPError:
            raise _MayPass("connection broke") from None
        status = response.status_code
        if status in NEVER_RIGHT:
            raise self._hopeless(f"{NEVER_RIGHT[status]} (HTTP {status})")
        if status in MAY_PASS or status >= 500:
            raise _MayPass(f"HTTP {status}", _seconds(response.headers.get("Retry-After", "")))
        if status != 200:
            raise NoAnswer(f"refused with HTTP {status}")
        return self._read_reply(response)

    def _read_reply(self, response: httpx2.Response) -> Answer:
        try:
            reply = response.json()
            text = reply["choices"][0]["message"].get("content")
        except (ValueError, LookupError, TypeError, AttributeError):
            raise _MayPass("no chat completion") from None
        if not isinstance(text, str) or not text.strip():
            raise NoAnswer("refused: no text")
        judge = str(reply.get("model") or f"{self._knobs['model']} (as asked for)")
        return Answer(self._without_key(text), self._without_key(judge), datetime.now(UTC).date().isoformat())

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "[key]") if len(self._key) >= SHORTEST_KEY else text

    def _hopeless(self, what: str) -> UserError:
        variable = self._knobs["key_variable"]
        check = "judge.endpoint and judge.model" + (f", and the key in {variable}" if variable else "; judge.key_variable names no key")
        return UserError(f"judge {self._knobs['endpoint']}: {what}; check {check}, then run it again: answers so far are kept")


def _read_key(variable: str | None) -> str:
    if variable is None:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise UserError(f"judge.key_variable: {variable} is not set in the environment; expected it to hold the judge's key")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise UserError(f"judge.key_variable: {variable} holds characters that no key has (spaces, controls or accents); set it again")
    return key


def _digest(url: str, body: Body) -> str:
    return hashlib.sha256(json.dumps({"url": url, "body": body}, sort_keys=True).encode()).hexdigest()


def _read_answer(path: Path) -> Answer:
    try:
        kept = json.loads(path.read_text())
        return Answer(*(str(kept[field]) for field in Answer._fields))
    except (ValueError, LookupError, TypeError):
        raise UserError(f"{path}: not an answer that the judge stage kept; delete it and run the stage again") from None


def _seconds(retry_after: str) -> float:
    """Of a Retry-After header; its form as a date is not read."""
    return float(retry_after) if retry_after.isdecimal() else 0.0
