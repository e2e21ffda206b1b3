"""A hub on loopback that speaks the protocol of the real one to the real client: listing, commits, ETags, ranges, errors."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

API = re.compile(r"/api/(?P<kind>models|datasets)/(?P<id>[^/]+/[^/]+)(/revision/(?P<revision>[^/]+))?")
TREE = re.compile(r"/api/(?P<kind>datasets)/(?P<id>[^/]+/[^/]+)/(?P<list>tree|paths-info)/(?P<revision>[^/]+)(/(?P<folder>.+))?")
RESOLVE = re.compile(r"/((?P<kind>datasets)/)?(?P<id>[^/]+/[^/]+)/(?P<store>resolve|cdn)/(?P<revision>[^/]+)/(?P<name>.+)")


@dataclass
class Repository:
    """One model or dataset: commit -> folder of its files; `main` is the newest commit.

    `files_status` is that of every file of a gated repository. Answers with weights end after `cut` bytes, the first `cuts`
    times. `claimed_bytes` is what the listing says of each file, if not the truth; `lost` files are listed, but gone.
    """

    commits: dict[str, Path]
    files_status: int = 200
    cut: int = 0
    cuts: int = 0
    claimed_bytes: int | None = None
    lost: frozenset[str] = frozenset()

    @property
    def main(self) -> str:
        return list(self.commits)[-1]

    def commit(self, revision: str) -> str | None:
        return self.main if revision == "main" else revision if revision in self.commits else None


@dataclass
class Hub:
    """`requests` are (method, path, Range header) in the order of arrival; a `down` hub answers 503.

    `repositories` are models. `moved` gives old ids of datasets with their new ones. `sent` counts the bytes of files by name.
    """

    repositories: dict[str, Repository] = field(default_factory=dict)
    datasets: dict[str, Repository] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    sent: Counter[str] = field(default_factory=Counter)
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    url: str = ""
    down: bool = False

    def of(self, name: str) -> list[tuple[str, str | None]]:
        """(method, Range header) of the requests for a file."""
        return [(method, range_) for method, path, range_ in self.requests if path.endswith(f"/{name}")]


@contextmanager
def serve() -> Iterator[Hub]:
    """A hub without repositories on a free port; it answers until the block ends."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path, self.headers.get("Range")))
        found = API.fullmatch(path) or TREE.fullmatch(path) or RESOLVE.fullmatch(path)
        repositories = self.hub.datasets if found and found["kind"] == "datasets" else self.hub.repositories
        repository = repositories.get(found["id"]) if found else None
        if self.hub.down:
            self._refuse(503, "", "down")
        elif found and found["id"] in self.hub.moved:
            where = self.path.replace(found["id"], self.hub.moved[found["id"]])
            self._answer(307, {"Location": where, "Content-Length": 0})
        elif repository is None:
            # The real hub does not tell strangers whether a repository is missing or private.
            self._refuse(401, "RepoNotFound", "Repository not found")
        elif (commit := repository.commit(found["revision"] or "main")) is None:
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {found['revision']}")
        elif "list" in found.groupdict():
            self._list_tree(found, repository.commits[commit])
        elif "name" not in found.groupdict():
            self._list(found["id"], repository, commit)
        elif repository.files_status != 200:
            self._refuse(repository.files_status, "GatedRepo", "Access to this model is restricted")
        elif not (file := repository.commits[commit] / found["name"]).is_file() or file.name in repository.lost:
            self._refuse(404, "EntryNotFound", "Entry not found", commit)
        elif found["store"] == "resolve" and file.suffix == ".safetensors":
            self._redirect(file, commit, path.replace("/resolve/", "/cdn/"))
        else:
            self._send_file(file, commit, repository)

    do_HEAD = do_POST = do_GET

    def _answer(self, status: int, headers: dict[str, str | int]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if value != "":
                self.send_header(name, str(value))
        self.end_headers()

    def _refuse(self, status: int, code: str, message: str, commit: str = "") -> None:
        self._answer(status, {"X-Error-Code": code, "X-Error-Message": message, "X-Repo-Commit": commit, "Content-Length": 0})

    def _redirect(self, file: Path, commit: str, path: str) -> None:
        """Large files lie in another store, as the client must believe: under another name of this host."""
        where = f"http://localhost:{self.server.server_port}{path}"
        linked = {"X-Linked-Etag": _etag(file.read_bytes()), "X-Linked-Size": file.stat().st_size}
        self._answer(302, {"Location": where, "X-Repo-Commit": commit, "Content-Length": 0, **linked})

    def _list(self, identity: str, repository: Repository, commit: str) -> None:
        files = sorted(file for file in repository.commits[commit].rglob("*") if file.is_file())
        sizes = {str(file.relative_to(repository.commits[commit])): file.stat().st_size for file in files}
        siblings = [
            {"rfilename": name, "size": repository.claimed_bytes or size, "blobId": f"{index:040x}"}
            for index, (name, size) in enumerate(sizes.items())
        ]
        self._send_json({"_id": "1", "id": identity, "modelId": identity, "sha": commit, "siblings": siblings, "tags": []})

    def _list_tree(self, found: re.Match[str], folder: Path) -> None:
        """The files below a folder, or those of the asked paths that are there, as the client's file system wants them."""
        if found["list"] == "paths-info":
            asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())["paths"]
            paths = [folder / name for name in asked if (folder / name).exists()]
        else:
            below = "recursive=true" in urlsplit(self.path).query.lower()
            paths = sorted((folder / (found["folder"] or "")).glob("**/*" if below else "*"))
        self._send_json([_entry(path, str(path.relative_to(folder))) for path in paths])

    def _send_json(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self._answer(200, {"Content-Type": "application/json", "Content-Length": len(body)})
        self.wfile.write(body)

    def _send_file(self, file: Path, commit: str, repository: Repository) -> None:
        content = file.read_bytes()
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        start = int(asked[1]) if asked else 0
        rest = content[start : int(asked[2]) + 1 if asked and asked[2] else None]
        range_ = f"bytes {start}-{start + len(rest) - 1}/{len(content)}" if asked else ""
        headers = {"Content-Range": range_, "Content-Length": len(rest), "Accept-Ranges": "bytes"}
        self._answer(206 if asked else 200, {**headers, "ETag": _etag(content), "X-Repo-Commit": commit})
        if self.command == "HEAD":
            return
        if repository.cuts and file.suffix == ".safetensors":
            repository.cuts -= 1
            rest = rest[: repository.cut]
            self.close_connection = True
        self.hub.sent[file.name] += len(rest)
        self.wfile.write(rest)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


def _etag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()}"'


def _entry(path: Path, name: str) -> dict[str, Any]:
    """A line of a listing; ids of contents are 40 digits on the hub too."""
    if path.is_dir():
        return {"type": "directory", "oid": "0" * 40, "size": 0, "path": name}
    return {"type": "file", "oid": hashlib.sha1(path.read_bytes()).hexdigest(), "size": path.stat().st_size, "path": name}
