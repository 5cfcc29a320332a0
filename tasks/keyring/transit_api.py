"""The HTTP API of the transit engine of OpenBao or HashiCorp Vault: one request, and what its answer means."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from tasks.errors import KeyServiceUnreachableError, KeyUnavailableError, UsageError

_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_NOT_FOUND: Final = 404
_BUSY: Final = (412, 429, 472, 473, 500, 502, 503, 504)
_MAX_ANSWER: Final = 1 << 20
_TIMEOUT_S: Final = 10.0


class TransitApi:
    """One transit engine.

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

    def ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> dict[str, Any] | None:
        """The `data` of the answer; None for 404.

        Raises:
            KeyServiceUnreachableError: nobody answers now.
            KeyUnavailableError: the server refuses.
        """
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
                next_step="Wait until it answers and run again; nothing was done.",
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
            next_step="See whether it is sealed or overloaded, and run again; nothing was done.",
        )
    try:
        document = json.loads(content) if content else {}
    except ValueError:
        document = None
    if status not in (200, 204) or not isinstance(document, dict):
        raise KeyUnavailableError(
            f"the transit server refuses {path} (HTTP {status})",
            next_step="Check [keys.transit]: the token's policy must allow what the keys are used for.",
        )
    return document.get("data") or {}
