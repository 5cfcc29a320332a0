"""AWS KMS as far as signing and wrapping go. No emulator has Ed25519 keys, so this stands in for its HTTP API:

the client, its request signing, serialisation and errors are botocore's own; only the far end is ours.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SPEC = "ECC_NIST_EDWARDS25519"


class RefusedError(Exception):
    """An answer that is an error; its text is AWS's code."""


@dataclass
class KmsStub:
    """Keys and aliases.

    Attributes:
        url: of the server.
        refuse: answer everything with this error code.
        spec: what new keys claim to be.
        symmetric: ARNs of encryption keys, by alias.
    """

    url: str = ""
    refuse: str = ""
    spec: str = SPEC
    keys: dict[str, Ed25519PrivateKey] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    symmetric: dict[str, str] = field(default_factory=dict)

    def answer(self, action: str, asked: dict[str, Any]) -> dict[str, Any]:
        if self.refuse:
            raise RefusedError(self.refuse)
        return getattr(self, f"_{action}")(asked)  # type: ignore[no-any-return]

    def _CreateKey(self, asked: dict[str, Any]) -> dict[str, Any]:
        if (asked["KeySpec"], asked["KeyUsage"]) != (SPEC, "SIGN_VERIFY"):
            raise RefusedError("ValidationException")
        arn = f"arn:aws:kms:eu-central-1:111122223333:key/{len(self.keys)}"
        self.keys[arn] = Ed25519PrivateKey.generate()
        return {"KeyMetadata": {"KeyId": arn, "Arn": arn}}

    def _CreateAlias(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["AliasName"] in self.aliases:
            raise RefusedError("AlreadyExistsException")
        self.aliases[asked["AliasName"]] = asked["TargetKeyId"]
        return {}

    def _GetPublicKey(self, asked: dict[str, Any]) -> dict[str, Any]:
        arn = self._arn(asked)
        der = self.keys[arn].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return {"KeyId": arn, "KeySpec": self.spec, "PublicKey": base64.b64encode(der).decode()}

    def _Sign(self, asked: dict[str, Any]) -> dict[str, Any]:
        if (asked["MessageType"], asked["SigningAlgorithm"]) != ("RAW", "ED25519_SHA_512"):
            raise RefusedError("InvalidKeyUsageException")
        signature = self.keys[self._arn(asked)].sign(base64.b64decode(asked["Message"]))
        return {"Signature": base64.b64encode(signature).decode()}

    def _Encrypt(self, asked: dict[str, Any]) -> dict[str, Any]:
        arn = self.symmetric.get(asked["KeyId"], "")
        blob = {"arn": arn, "context": asked["EncryptionContext"], "plaintext": asked["Plaintext"]}
        return {
            "KeyId": self._usable(arn),
            "CiphertextBlob": base64.b64encode(json.dumps(blob).encode()).decode(),
        }

    def _Decrypt(self, asked: dict[str, Any]) -> dict[str, Any]:
        blob = json.loads(base64.b64decode(asked["CiphertextBlob"]))
        if (blob["arn"], blob["context"]) != (self._usable(asked["KeyId"]), asked["EncryptionContext"]):
            raise RefusedError("InvalidCiphertextException")
        return {"KeyId": blob["arn"], "Plaintext": blob["plaintext"]}

    def _usable(self, arn: str) -> str:
        if arn not in self.symmetric.values():
            raise RefusedError("NotFoundException")
        return arn

    def _arn(self, asked: dict[str, Any]) -> str:
        arn: str = self.aliases.get(asked["KeyId"], asked["KeyId"])
        if arn not in self.keys:
            raise RefusedError("NotFoundException")
        return arn


@contextmanager
def kms_stub() -> Iterator[KmsStub]:
    """Serve one on this machine."""
    stub = KmsStub()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.headers["Authorization"].startswith("AWS4-HMAC-SHA256 ")
            try:
                status, body = 200, stub.answer(self.headers["X-Amz-Target"].split(".")[1], asked)
            except RefusedError as error:
                status, body = 400, {"__type": str(error), "message": ""}
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, format: str, *args: object) -> None:
            return None

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        stub.url = f"http://127.0.0.1:{server.server_port}"
        yield stub
        server.shutdown()
