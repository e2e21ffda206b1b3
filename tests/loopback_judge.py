"""A judge on loopback that speaks OpenAI's chat completions to the real client, well or badly."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    """An HTTP answer: `body` as JSON, or as it is where it is text; sent after `delay` seconds."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0


@dataclass
class Judge:
    """`answer` makes the reply to a request's body; `requests` holds (path, Authorization header, body) as they came."""

    answer: Callable[[dict], Reply]
    requests: list[tuple[str, str | None, dict]] = field(default_factory=list)
    url: str = ""
    closing: threading.Event = field(default_factory=threading.Event)

    def knobs(self, **changes: Any) -> dict[str, Any]:
        """The `judge` group of a configuration that asks this judge."""
        return {
            "endpoint": self.url, "model": "judge-alias", "key_variable": "JUDGE_KEY", "timeout": 5.0, "attempts": 3, "concurrent": 2,
            "mm_vet_prompt": None, "llava_wild_rules": None,
        } | changes  # fmt: skip


def completion(text: str | None, model: str = "judge-2026-01-01") -> Reply:
    return Reply(body={"model": model, "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]})


@contextmanager
def serve(answer: Callable[[dict], Reply]) -> Iterator[Judge]:
    """A judge on a free port; it answers until the block ends."""
    judge = Judge(answer)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"judge": judge}))
    server.daemon_threads = True
    judge.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield judge
    finally:
        judge.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    judge: Judge
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.judge.requests.append((self.path, self.headers.get("Authorization"), body))
        reply = self.judge.answer(body)
        self.judge.closing.wait(reply.delay)
        content = (reply.body if isinstance(reply.body, str) else json.dumps(reply.body)).encode()
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(content)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""

    def handle(self) -> None:
        # A client that gave up waiting is no error here.
        with suppress(BrokenPipeError, ConnectionResetError):
            super().handle()
