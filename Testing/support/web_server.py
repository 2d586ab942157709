"""A web server on this machine for tests of downloads: it can do ranges, cut connections and tell lies."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class WebServer:
    """What the server has and how it behaves; both may be changed while it runs.

    Attributes:
        address: ``http://127.0.0.1:PORT``.
        files: Content by path.
        cut_after: Bytes after which each of the next answers ends without warning; one entry an answer.
        etag: Version of the files; empty: the server tells none and does no ranges.
        if_range: Whether it knows the header If-Range; otherwise it continues with another version of a file.
        status: Answer to everything, where it is not 200.
        content_type: Of every answer.
        requests: (path, value of the header Range) of what was asked so far.
    """

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cut_after: list[int] = field(default_factory=list)
    etag: str = '"one"'
    if_range: bool = True
    status: int = 200
    content_type: str = "application/octet-stream"
    requests: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def web_server() -> Iterator[WebServer]:
    """Run a server for the length of the block."""
    site = WebServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            del format, args

        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            site.requests.append((self.path, wanted))
            if site.status != 200 or self.path not in site.files:
                self.send_error(site.status if site.status != 200 else 404)
                return
            content = site.files[self.path]
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
            if not site.etag or (site.if_range and self.headers.get("If-Range") != site.etag):
                start = 0
            if start >= len(content) > 0:
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Type", site.content_type)
            self.send_header("Content-Length", str(len(content) - start))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            if site.etag:
                self.send_header("ETag", site.etag)
            self.end_headers()
            if site.cut_after:
                self.wfile.write(content[start : start + site.cut_after.pop(0)])
                self.close_connection = True
                self.connection.close()
                return
            self.wfile.write(content[start:])

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that cancels hangs up in the middle."""

    server = Server(("127.0.0.1", 0), Handler)
    site.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
