"""What goes wrong between here and the hub, as one line: which id, what happened, what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from httpx2 import HTTPError, TransportError
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from fastvlm.errors import UserError

NOT_REACHED = (TransportError, OfflineModeIsEnabled, LocalEntryNotFoundError)
AGAIN = "run it again: files that are complete are kept"


@contextmanager
def explained(identity: str, revision: str | None, doing: str = "asking for it") -> Iterator[None]:
    """Turn the client's errors into `UserError`s; `doing` is what an unforeseen one happened at."""
    try:
        yield
    except (HTTPError, OSError) as error:
        raise UserError(f"{identity}: {_explain(error, revision, doing)}") from error


def _explain(error: Exception, revision: str | None, doing: str) -> str:
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    if isinstance(error, GatedRepoError) and status == 401:
        return "a gated repository, and you are not logged in; accept its terms on its page, then `hf auth login` or set HF_TOKEN"
    if isinstance(error, GatedRepoError):
        return "a gated repository, and your account has no access; ask for it on its page, and check whose token HF_TOKEN is"
    if isinstance(error, RepositoryNotFoundError):
        return "no such repository on the hub, or a private one that your token does not open; check the id, then HF_TOKEN"
    if isinstance(error, RevisionNotFoundError):
        return f"has no revision {revision}; expected a commit that its page lists, or null for the newest"
    if isinstance(error, RemoteEntryNotFoundError):
        return f"{_reason(error)} ({doing}); expected a checkpoint in transformers' format"
    if status is not None:
        return f"the hub answered {status} ({doing}); try again later, or check HF_TOKEN and HF_ENDPOINT"
    if isinstance(error, NOT_REACHED):
        return f"the connection to the hub was cut off or not made ({doing}: {_reason(error)}); check the network, then {AGAIN}"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full ({doing}); make room, or set HF_HOME to a folder on a larger disk, then {AGAIN}"
    return f"{doing} failed ({_reason(error)}); {AGAIN}"


def _reason(error: Exception) -> str:
    """The first line of what the client says."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
