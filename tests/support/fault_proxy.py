"""An HTTP proxy on loopback that does to the requests of an S3 client what networks and busy servers do.

Signatures stay valid, because the `Host` that the client signed is passed on as it is. What the proxy is not
told to disturb goes through unchanged; what it answers itself has the form that S3 gives it.
"""

from __future__ import annotations

import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

FOREVER = 1_000_000
SILENCE_S = 2.5
_ITEM = re.compile(rb"<(Contents|Version|DeleteMarker)>.*?</\1>", re.DOTALL)
_HOP = frozenset({"connection", "content-length", "expect", "keep-alive", "transfer-encoding"})
_BUSY = {
    429: "TooManyRequests",
    500: "InternalError",
    503: "SlowDown",
}


@dataclass(frozen=True)
class Answer:
    """What goes back to the client."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Fault:
    """What happens to requests `at` to `at + times - 1` (from 0) of one operation.

    Attributes:
        kind: a key of `FAULTS`.
        operation: `put`, `get`, `head`, `list`.
        times: how many requests in a row.
    """

    kind: str
    operation: str
    at: int = 0
    times: int = 1


@dataclass
class FaultProxy:
    """What the proxy was told and what it saw.

    Attributes:
        upstream: host and port of the real server.
        struck: requests that met the fault.
        seen: requests by operation, since the fault was set.
    """

    upstream: str
    endpoint: str = ""
    fault: Fault | None = None
    struck: int = 0
    seen: dict[str, int] = field(default_factory=dict)
    pages: dict[str, list[bytes]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def arm(self, fault: Fault | None) -> None:
        """From now on, and counted from now."""
        with self.lock:
            self.fault, self.struck, self.seen = fault, 0, {}

    def kind_for(self, operation: str) -> str | None:
        """Which fault the request at hand meets."""
        with self.lock:
            number = self.seen.get(operation, 0)
            self.seen[operation] = number + 1
            fault = self.fault
            if fault is None or fault.operation != operation or not 0 <= number - fault.at < fault.times:
                return None
            self.struck += 1
            return fault.kind

    def postpone(self) -> None:
        """The request at hand has nothing that the fault could change: it meets the next one."""
        with self.lock:
            self.struck -= 1
            if self.fault is not None:
                self.fault = replace(self.fault, at=self.fault.at + 1)


@contextmanager
def fault_proxy(endpoint: str) -> Iterator[FaultProxy]:
    """A running proxy before the server at `endpoint`."""
    proxy = FaultProxy(urlsplit(endpoint).netloc)

    class Handler(_Handler):
        told = proxy

    with _Server(("127.0.0.1", 0), Handler) as server:
        proxy.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield proxy
        server.shutdown()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that went away are what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    told: FaultProxy

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""

    def handle_one(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = self.told.kind_for(self.operation())
        if kind is None:
            self.give(self.forward())
        else:
            FAULTS[kind](self)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_one

    def operation(self) -> str:
        url = urlsplit(self.path)
        if self.command == "GET" and {"list-type", "versions"} & set(parse_qs(url.query, True)):
            return "list"
        of_object = url.path.count("/") > 1 and not url.query.startswith(("retention", "legal-hold"))
        return self.command.lower() if of_object else "other"

    def forward(self) -> Answer:
        """The real server's answer."""
        connection = HTTPConnection(self.told.upstream, timeout=60)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in _HOP:
                connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(self.body)))
        connection.endheaders(self.body)
        response = connection.getresponse()
        body = response.read()
        headers = {name: value for name, value in response.getheaders() if name.lower() not in _HOP}
        length = str(len(body)) if self.command != "HEAD" else response.getheader("Content-Length", "0")
        connection.close()
        return Answer(response.status, {**headers, "Content-Length": length}, body)

    def start(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()

    def give(self, answer: Answer) -> None:
        self.start(answer)
        self.wfile.write(answer.body)

    def refuse(self, status: int) -> None:
        body = b"<Error><Code>%s</Code><Message>.</Message></Error>" % _BUSY[status].encode()
        body = b"" if self.command == "HEAD" else body
        self.give(Answer(status, {"Content-Type": "application/xml", "Content-Length": str(len(body))}, body))

    def reset(self) -> None:
        """RST: what is on its way is lost too."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        with suppress(OSError):
            self.wfile.close()
            self.rfile.close()
        self.connection.close()

    def with_body(self, answer: Answer, body: bytes) -> Answer:
        return Answer(answer.status, {**answer.headers, "Content-Length": str(len(body))}, body)

    # One method a fault.

    def reset_after(self) -> None:
        self.forward()
        self.reset()

    def error_after(self) -> None:
        self.forward()
        self.refuse(500)

    def silence(self) -> None:
        """The request arrives and is done; no answer comes before the client has given up."""
        self.forward()
        time.sleep(SILENCE_S)
        self.reset()

    def slow_start(self) -> None:
        answer = self.forward()
        time.sleep(0.3)
        self.give(answer)

    def slow_body(self) -> None:
        answer = self.forward()
        self.start(answer)
        step = max(1, len(answer.body) // 5)
        for start in range(0, len(answer.body), step):
            self.wfile.write(answer.body[start : start + step])
            self.wfile.flush()
            time.sleep(0.05)

    def cut_body(self) -> None:
        """Half of the bytes that the header promised."""
        answer = self.forward()
        self.start(answer)
        self.wfile.write(answer.body[: len(answer.body) // 2])
        self.wfile.flush()
        self.close_connection = True

    def cut_document(self) -> None:
        """Half of the XML, under a header that fits the half: only a parser can tell."""
        answer = self.forward()
        self.give(self.with_body(answer, answer.body[: len(answer.body) // 2]))

    def cut_page(self) -> None:
        """The last item of a page is left out; the page's own count still has it."""
        answer = self.forward()
        items = list(_ITEM.finditer(answer.body))
        if not items:
            self.told.postpone()
            return self.give(answer)
        start, end = items[-1].span()
        return self.give(self.with_body(answer, answer.body[:start] + answer.body[end:]))

    def lost_token(self) -> None:
        """The page says that another one follows, and not which."""
        answer = self.forward()
        body = answer.body.replace(b"<IsTruncated>false", b"<IsTruncated>true")
        assert body != answer.body
        self.give(self.with_body(answer, body))

    def short_pages(self) -> None:
        """One item a page, and before each an empty one, as servers may do at any time."""
        query = parse_qs(urlsplit(self.path).query)
        token = next((query[name][0] for name in ("continuation-token", "key-marker") if name in query), "")
        if token in self.told.pages:
            return self._next_page(self.told.pages.pop(token))
        answer = self.forward()
        items = [match[0] for match in _ITEM.finditer(answer.body)]
        frame = _ITEM.sub(b"", answer.body)
        pages = [part for item in items for part in (b"", item)]
        return self._next_page([frame, *pages] if pages else [frame, b""])

    def _next_page(self, pages: list[bytes]) -> None:
        frame, page, *rest = pages
        more = b""
        body = re.sub(rb"<KeyCount>\d+", b"<KeyCount>%d" % bool(page), frame)
        if rest:
            token = f"page-{len(rest)}-{time.monotonic_ns()}"
            self.told.pages[token] = [frame, *rest]
            name = b"NextContinuationToken" if b"ListBucketResult" in frame else b"NextKeyMarker"
            more = b"<%s>%s</%s>" % (name, token.encode(), name)
            body = body.replace(b"<IsTruncated>false", b"<IsTruncated>true")
        close = body.rindex(b"</")
        body = body[:close] + page + more + body[close:]
        headers = {"Content-Type": "application/xml", "Content-Length": str(len(body))}
        self.give(Answer(200, headers, body))


FAULTS: Mapping[str, Callable[[_Handler], None]] = {
    "429": lambda handler: handler.refuse(429),
    "500": lambda handler: handler.refuse(500),
    "503": lambda handler: handler.refuse(503),
    "reset before": _Handler.reset,
    "reset after": _Handler.reset_after,
    "error after": _Handler.error_after,
    "silence": _Handler.silence,
    "slow start": _Handler.slow_start,
    "slow body": _Handler.slow_body,
    "cut body": _Handler.cut_body,
    "cut document": _Handler.cut_document,
    "cut page": _Handler.cut_page,
    "lost token": _Handler.lost_token,
    "short pages": _Handler.short_pages,
}
