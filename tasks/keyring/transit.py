"""Signing keys in the transit engine of OpenBao or HashiCorp Vault; the private key never leaves it.

Plain HTTP API: `GET <mount>/keys/<name>`, `POST <mount>/keys/<name>`, `POST <mount>/sign/<name>`. A key of ours
is version 1 of a transit key, for ever: transit's own rotation would change a public key that the log has
not announced. The token needs `read` and `update` on `<mount>/keys/*` and `update` on `<mount>/sign/*`.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from tasks.errors import KeyServiceUnreachableError, KeyUnavailableError, UsageError
from tasks.keyring.remote import RemoteKey

_VERSION: Final = 1
_PREFIX: Final = "vault:v1:"
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_NOT_FOUND: Final = 404
_BUSY: Final = (412, 429, 472, 473, 500, 502, 503, 504)
_MAX_ANSWER: Final = 1 << 20
_TIMEOUT_S: Final = 10.0


class TransitKeys:
    """Keys of one transit engine.

    Args:
        url: of the server; `https://`, or on this machine `http://`.
        token: authenticates; sent to this server only, never to where it may redirect.
        mount: path of the engine.
        ca_bundle: PEM file of the authorities to trust instead of the system's.

    Raises:
        UsageError: the token would cross a network in the clear.
    """

    def __init__(self, url: str, token: str, mount: str = "transit", ca_bundle: Path | None = None) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port
        self._secure = parts.scheme == "https"
        if not self._host or not (self._secure or (parts.scheme == "http" and self._host in _LOOPBACK)):
            raise UsageError(
                "the transit server is not addressed by https://",
                next_step="Set [keys.transit] url to an https:// URL; http:// is for this machine only.",
            )
        self._tls = ssl.create_default_context(cafile=ca_bundle) if self._secure else None
        self._base = f"{parts.path.rstrip('/')}/v1/{quote(mount.strip('/'))}"
        self._token = token

    def find(self, label: str) -> RemoteKey | None:
        """See `tasks.keyring.SigningKeys`."""
        answer = self._ask("GET", f"keys/{quote(label)}")
        if answer is None:
            return None
        if answer.get("type") != "ed25519" or answer.get("derived"):
            raise KeyUnavailableError(
                f"the transit key {label} is not a plain ed25519 key",
                next_step="Remove it, or use another mount for the keys of logs.",
            )
        public_key = answer["keys"][str(_VERSION)]["public_key"]
        return RemoteKey(
            f"the transit key {label}", base64.b64decode(public_key), lambda data: self._sign(label, data)
        )

    def create(self, label: str) -> RemoteKey:
        """See `tasks.keyring.SigningKeys`. The engine leaves a key alone that is already there."""
        self._ask("POST", f"keys/{quote(label)}", {"type": "ed25519", "exportable": False})
        key = self.find(label)
        if key is None:
            raise KeyUnavailableError(
                f"the transit key {label} was made and is not there",
                next_step="Look at the server's audit log.",
            )
        return key

    def _sign(self, label: str, data: bytes) -> bytes:
        body = {"input": base64.b64encode(data).decode(), "key_version": _VERSION}
        answer = self._ask("POST", f"sign/{quote(label)}", body)
        signature = answer.get("signature", "") if answer else ""
        if not signature.startswith(_PREFIX):
            raise KeyUnavailableError(
                f"the transit key {label} did not sign", next_step="Look at the server's audit log."
            )
        return base64.b64decode(signature.removeprefix(_PREFIX))

    def _ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> dict[str, Any] | None:
        """The `data` of the answer; None for 404."""
        connection = (
            http.client.HTTPSConnection(self._host, self._port, timeout=_TIMEOUT_S, context=self._tls)
            if self._secure
            else http.client.HTTPConnection(self._host, self._port, timeout=_TIMEOUT_S)
        )
        headers = {"X-Vault-Token": self._token, "X-Vault-Request": "true"}
        try:
            connection.request(method, f"{self._base}/{path}", json.dumps(body) if body else None, headers)
            response = connection.getresponse()
            content = response.read(_MAX_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            raise KeyServiceUnreachableError(
                f"the transit server at {self._host} does not answer ({type(error).__name__})",
                next_step="Wait until it answers and run again; nothing was signed.",
            ) from None
        finally:
            connection.close()
        return _data(response.status, content, path)


def _data(status: int, content: bytes, path: str) -> dict[str, Any] | None:
    if status == _NOT_FOUND:
        return None
    if status in _BUSY:
        raise KeyServiceUnreachableError(
            f"the transit server cannot answer now (HTTP {status})",
            next_step="See whether it is sealed or overloaded, and run again; nothing was signed.",
        )
    try:
        document = json.loads(content) if content else {}
    except ValueError:
        document = None
    if status not in (200, 204) or not isinstance(document, dict):
        raise KeyUnavailableError(
            f"the transit server refuses {path} (HTTP {status})",
            next_step="Check [keys.transit]: the token's policy must allow reading, making and signing with keys.",
        )
    return document.get("data") or {}
