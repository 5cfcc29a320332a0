"""A witness as a process: key file, memory and the one HTTP call of C2SP tlog-witness.

Run it where the log's owner has no rights: a witness that an insider can also change witnesses nothing.
Put here: files, sockets, bounds. Do not put here: what is answered (`tasks.witness`).
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import BoundedSemaphore
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tasks.errors import IndelibleError, KeyUnavailableError, UsageError, VerificationError
from tasks.evidence.note import CosignatureSigner, CosignatureVerifier, NoteVerifier
from tasks.evidence.policy import MAX_POLICY_BYTES, parse_policy
from tasks.witness.decision import Logs
from tasks.witness.memory import Memory
from tasks.witness.request import MAX_REQUEST_BYTES
from tasks.witness.service import Answer, Witness

KEY_FILE: Final = "witness.pem"
VKEY_FILE: Final = "witness.vkey"
MEMORY_FILE: Final = "witness.sqlite"
PATH: Final = "/add-checkpoint"

_IDLE_S: Final = 15
_CONNECTIONS: Final = 64
_PLAIN: Final = "text/plain; charset=utf-8"
_log = logging.getLogger(__name__)


def make_key(directory: Path, name: str, passphrase: bytes | None) -> str:
    """Make a witness's key, unless it has one.

    Args:
        directory: its own; made with mode 0700.
        name: key name, by custom a URL without a scheme, for example `witness.example/w1`.
        passphrase: encrypts the key file.

    Returns:
        The vkey, for policies and settings of logs.

    Raises:
        UsageError: the directory has the key of another name.
        VerificationError: `malformed-key`, for a name with spaces or `+`.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (directory / KEY_FILE).exists():
        signer = load_key(directory, passphrase)
        if signer.verifier.name != name:
            raise UsageError(
                f"{directory} has the key of {signer.verifier.name}",
                next_step="Give another --directory, or that name.",
            )
        return signer.vkey
    key = Ed25519PrivateKey.generate()
    vkey = CosignatureSigner(name, key).vkey
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    (directory / VKEY_FILE).write_text(vkey + "\n")
    descriptor = os.open(directory / KEY_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    return vkey


def load_key(directory: Path, passphrase: bytes | None) -> CosignatureSigner:
    """The key of a directory.

    Raises:
        KeyUnavailableError: it is missing, damaged, not its vkey's, or the passphrase is wrong.
    """
    try:
        pem = (directory / KEY_FILE).read_bytes()
        verifier = CosignatureVerifier.from_vkey((directory / VKEY_FILE).read_text().strip())
        key = serialization.load_pem_private_key(pem, passphrase if b"ENCRYPTED" in pem else None)
    except (OSError, ValueError, TypeError, VerificationError) as error:
        raise KeyUnavailableError(
            f"the witness's key in {directory} cannot be used ({type(error).__name__})",
            next_step="Run `indelible witness key`, give its passphrase, or restore the directory.",
        ) from None
    if not isinstance(key, Ed25519PrivateKey) or key.public_key().public_bytes_raw() != verifier.public_key:
        raise KeyUnavailableError(
            f"{directory / VKEY_FILE} is not the public part of the key beside it",
            next_step="Restore both files from your backup.",
        )
    return CosignatureSigner(verifier.name, key)


def read_logs(policy: Path) -> Logs:
    """Keys by origin of the logs that a policy file names; its witnesses and quorum do not matter here.

    Raises:
        UsageError: it cannot be read or is no policy.
    """
    try:
        with policy.open("rb") as file:
            logs = parse_policy(file.read(MAX_POLICY_BYTES + 1)).logs
    except (OSError, VerificationError) as error:
        raise UsageError(
            f"{policy} is no list of logs: {error}",
            next_step="Give --logs a policy file with one `log <vkey>` line for each log and `quorum none`.",
        ) from error
    return _by_origin(logs)


def build(directory: Path, logs: Path, passphrase: bytes | None) -> Witness:
    """The witness of a directory, for the logs of a policy file, which is read anew for each request."""
    read_logs(logs)
    signer = load_key(directory, passphrase)
    return Witness(signer, Memory(directory / MEMORY_FILE), lambda: read_logs(logs), time.time)


class WitnessServer(ThreadingHTTPServer):
    """Serves one witness; more than 64 connections at once are closed unanswered."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], witness: Witness) -> None:
        self.witness = witness
        self._free = BoundedSemaphore(_CONNECTIONS)
        super().__init__(address, _Handler)

    @property
    def url(self) -> str:
        """Where it listens; the prefix to which `/add-checkpoint` is added."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}"

    def process_request(self, request, client_address):  # type: ignore[no-untyped-def]
        """Answer on a thread of its own, if one is free."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request, client_address):  # type: ignore[no-untyped-def]
        """See `process_request`."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()


class _Handler(BaseHTTPRequestHandler):
    server: WitnessServer
    server_version = "indelible-witness"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_S

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if self.path != PATH or not length.isascii() or not length.isdigit():
            # The body was not read, so the connection cannot be used again.
            self.close_connection = True
            self._answer(Answer(404 if self.path != PATH else 400, b"not found or no length\n", _PLAIN))
        elif int(length) > MAX_REQUEST_BYTES:
            self.close_connection = True
            self._answer(Answer(413, b"too large\n", _PLAIN))
        else:
            self._answer(self._decide(self.rfile.read(int(length))))

    def _decide(self, body: bytes) -> Answer:
        try:
            return self.server.witness.add_checkpoint(body)
        except (IndelibleError, sqlite3.Error):
            _log.exception("a request could not be answered")
            return Answer(500, b"internal error\n", _PLAIN)

    def _answer(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:
        """One line a request: address, request line, status; nothing of the body."""
        _log.info("%s " + format, self.client_address[0], *args)


def _by_origin(logs: Iterable[NoteVerifier]) -> Logs:
    found: dict[str, list[NoteVerifier]] = {}
    for log in logs:
        found.setdefault(log.name, []).append(log)
    return found
