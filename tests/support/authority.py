"""A time-stamping authority for tests: `openssl ts` behind a small HTTP server on the loopback."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

_CONFIG = """
[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[signer]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
[tsa]
default_tsa = here
[here]
serial = {directory}/serial
signer_cert = {directory}/signer.pem
signer_key = {directory}/signer.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
"""
_EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Authority:
    """Keys and certificates in one directory. `certificates` is what a verifier is given.

    The responses embed the signer's certificate only: with the chain beside it, rfc3161-client 1.0 refuses
    the set's order.
    """

    def __init__(self, directory: Path, name: str = "tsa") -> None:
        self.directory = directory
        directory.mkdir()
        (directory / "config").write_text(_CONFIG.format(directory=directory))
        (directory / "serial").write_text("01\n")
        self._openssl(
            "req", "-x509", *_EC, "-keyout", "ca.key", "-out", "ca.pem", "-subj", f"/CN={name} root",
            "-days", "3650", "-config", "config", "-extensions", "ca",
        )  # fmt: skip
        self._openssl(
            "req",
            *_EC,
            "-keyout",
            "signer.key",
            "-out",
            "signer.csr",
            "-subj",
            f"/CN={name}",
            "-config",
            "config",
        )
        self._openssl(
            "x509", "-req", "-in", "signer.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", "signer.pem", "-days", "3650", "-extfile", "config", "-extensions", "signer",
        )  # fmt: skip
        self.certificates = directory / "certificates.pem"
        self.certificates.write_bytes(
            (directory / "signer.pem").read_bytes() + (directory / "ca.pem").read_bytes()
        )

    def answer(self, query: bytes) -> bytes:
        """The response to a time-stamp query, DER in and DER out."""
        (self.directory / "query").write_bytes(query)
        self._openssl("ts", "-reply", "-queryfile", "query", "-out", "reply", "-config", "config")
        return (self.directory / "reply").read_bytes()

    def stamp(self, data: bytes) -> bytes:
        """A response over `data`, as openssl itself asks for it."""
        (self.directory / "data").write_bytes(data)
        self._openssl("ts", "-query", "-data", "data", "-sha256", "-cert", "-out", "own")
        return self.answer((self.directory / "own").read_bytes())

    def accepts(self, data: bytes, response: bytes) -> bool:
        """Whether `openssl ts` verifies a response over `data`."""
        (self.directory / "data").write_bytes(data)
        (self.directory / "response").write_bytes(response)
        command = ["openssl", "ts", "-verify", "-data", "data", "-in", "response", "-CAfile", "ca.pem"]
        return subprocess.run(command, cwd=self.directory, capture_output=True, check=False).returncode == 0

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.directory, check=True, capture_output=True)


@contextmanager
def answering(authority: Authority, port: int = 0) -> Iterator[str]:
    """The authority's URL; nothing answers there afterwards."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            reply = authority.answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, format: str, *args: object) -> None:
            return None

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()
