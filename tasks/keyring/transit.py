"""Signing keys in the transit engine of OpenBao or HashiCorp Vault; the private key never leaves it.

Plain HTTP API: `GET <mount>/keys/<name>`, `POST <mount>/keys/<name>`, `POST <mount>/sign/<name>`. A key of ours
is version 1 of a transit key, for ever: transit's own rotation would change a public key that the log has
not announced. The token needs `read` and `update` on `<mount>/keys/*` and `update` on `<mount>/sign/*`.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Final
from urllib.parse import quote

from tasks.errors import KeyUnavailableError
from tasks.keyring.remote import RemoteKey
from tasks.keyring.transit_api import TransitApi

_VERSION: Final = 1
_PREFIX: Final = "vault:v1:"


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
        self._api = TransitApi(url, token, mount, ca_bundle)

    def find(self, label: str) -> RemoteKey | None:
        """See `tasks.keyring.SigningKeys`."""
        answer = self._api.ask("GET", f"keys/{quote(label)}")
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
        self._api.ask("POST", f"keys/{quote(label)}", {"type": "ed25519", "exportable": False})
        key = self.find(label)
        if key is None:
            raise KeyUnavailableError(
                f"the transit key {label} was made and is not there",
                next_step="Look at the server's audit log.",
            )
        return key

    def _sign(self, label: str, data: bytes) -> bytes:
        body = {"input": base64.b64encode(data).decode(), "key_version": _VERSION}
        answer = self._api.ask("POST", f"sign/{quote(label)}", body)
        signature = answer.get("signature", "") if answer else ""
        if not signature.startswith(_PREFIX):
            raise KeyUnavailableError(
                f"the transit key {label} did not sign", next_step="Look at the server's audit log."
            )
        return base64.b64decode(signature.removeprefix(_PREFIX))
