"""A dataset's repository on the hub: `datasets` says which Parquet files make up a split; of those only what is asked for is requested.

The rows are read by pyarrow over the hub client's file system, as `datasets` does itself when it streams, but without its
read-ahead, which fetches whole files for one column of them (measured in tests/test_hub_datasets.py).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pyarrow.parquet as pq
from datasets import DownloadConfig, load_dataset_builder
from datasets.exceptions import DatasetsError
from huggingface_hub import HfApi, HfFileSystem, get_hf_file_metadata, hf_hub_url
from huggingface_hub.constants import HF_HUB_ETAG_TIMEOUT
from huggingface_hub.errors import RemoteEntryNotFoundError
from pyarrow import ArrowException

from fastvlm.errors import UserError
from fastvlm.models.hub_errors import explained

LOG = logging.getLogger(__name__)


class Repository:
    """A repository at one commit; `splits` are the files of each published split, as the hub's file system names them."""

    def __init__(self, identity: str, revision: str | None):
        """Raises `UserError` where the hub does not answer, or not with Parquet files."""
        with explained(identity, revision):
            found = HfApi().dataset_info(identity, revision=revision, timeout=HF_HUB_ETAG_TIMEOUT)
            _check_access(found.id, found.sha)
        self.identity, self.commit = found.id, found.sha
        with _reading(identity, revision, "asking for its splits"):
            builder = load_dataset_builder(found.id, revision=found.sha, download_config=DownloadConfig(disable_tqdm=True))
        self.splits = {str(split): list(files) for split, files in (builder.config.data_files or {}).items()}
        if found.id != identity:
            LOG.warning("%s: has moved to %s; name that in the configuration", identity, found.id)
        if revision is None:
            LOG.warning(
                "%s: no revision is pinned, and the newest may change; pin this one with `revision: %s`", self.identity, self.commit
            )

    def split(self, name: str) -> Split:
        return Split(self, name)


class Split:
    """The rows of a published split, counted over all its files in order.

    They are read without pyarrow's threads: one that still holds a file of Python's when the interpreter ends takes it down.
    """

    def __init__(self, repository: Repository, name: str):
        """Open the files; raises `UserError` unless all are Parquet files with the same columns."""
        self.repository, self.where = repository, f"{repository.identity} ({name})"
        other = [file for file in repository.splits[name] if not file.endswith(".parquet")]
        if other:
            raise UserError(f"{self.where}: published as {other[0].rsplit('/', 1)[-1]}, expected Parquet files")
        with self._reading("opening its files"):
            system = HfFileSystem()
            self.files = [pq.ParquetFile(system.open(file, "rb", cache_type="none")) for file in repository.splits[name]]
        self.columns = self.files[0].schema_arrow.names
        for file in self.files:
            if set(file.schema_arrow.names) != set(self.columns):
                raise UserError(f"{self.where}: its files have different columns, such as {', '.join(file.schema_arrow.names)}")

    def __len__(self) -> int:
        return sum(file.metadata.num_rows for file in self.files)

    def project(self, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        """These columns of all rows, in order."""
        for file in self.files:
            with self._reading(f"reading {', '.join(columns)}"):
                rows = file.read(columns=list(columns), use_threads=False).to_pylist()
            yield from rows

    def rows(self, numbers: Iterable[int], columns: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
        """(number, these columns) of the rows asked for, in order; only row groups that hold one are requested."""
        wanted = set(numbers)
        for file, group, start, count in self._groups():
            here = sorted(wanted.intersection(range(start, start + count)))
            if here:
                with self._reading(f"reading rows {start} to {start + count - 1}"):
                    table = file.read_row_group(group, columns=list(columns), use_threads=False)
                    rows = table.take([number - start for number in here]).to_pylist()
                yield from zip(here, rows, strict=True)

    def _groups(self) -> Iterator[tuple[pq.ParquetFile, int, int, int]]:
        """(file, row group, its first row, how many)."""
        start = 0
        for file in self.files:
            for group in range(file.metadata.num_row_groups):
                count = file.metadata.row_group(group).num_rows
                yield file, group, start, count
                start += count

    def _reading(self, doing: str) -> Any:
        return _reading(self.where, self.repository.commit, doing)


def first_answering(repositories: Sequence[dict[str, str | None]]) -> Repository:
    """The first repository of a list of `id` and `revision` that the hub gives; those before it are logged with the reason.

    Raises `UserError` with all reasons if there is none.
    """
    reasons = []
    for knobs in repositories:
        try:
            repository = Repository(knobs["id"], knobs["revision"])
        except UserError as error:
            reasons.append(str(error))
            LOG.warning("%s", error)
        else:
            LOG.warning("reading %s at commit %s", repository.identity, repository.commit)
            return repository
    raise UserError("; ".join(reasons))


def _check_access(identity: str, commit: str) -> None:
    """Raise the client's own error for a gated repository, which `datasets` would not tell from a missing one."""
    with suppress(RemoteEntryNotFoundError):
        get_hf_file_metadata(hf_hub_url(identity, "README.md", repo_type="dataset", revision=commit), timeout=HF_HUB_ETAG_TIMEOUT)


@contextmanager
def _reading(identity: str, revision: str | None, doing: str) -> Iterator[None]:
    """Turn the errors of `datasets`, Parquet and the hub's client into one line."""
    with explained(identity, revision, doing):
        try:
            yield
        except (ValueError, RuntimeError, DatasetsError, ArrowException) as error:
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
            raise UserError(
                f"{identity}: {doing} failed ({reason}); expected Parquet files: name another repository, "
                "or pin as `revision` the commit of this one's branch refs/convert/parquet"
            ) from error
