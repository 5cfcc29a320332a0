"""A key-encryption key in the transit engine of OpenBao or HashiCorp Vault, which never leaves it.

`POST <mount>/encrypt/<name>` and `decrypt/<name>`, with the context as `associated_data`; so the key must be of an
AEAD type, as transit's default `aes256-gcm96` is. Its rotation is transit's own: new wrappings take the newest
version, and `min_decryption_version` with `trim` destroys old ones. The token needs `read` on `<mount>/keys/<name>`
and `update` on `encrypt` and `decrypt`, and must not have `create`: transit would put a new key silently in the place
of one that was destroyed.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from tasks.errors import KeyUnavailableError
from tasks.keyring.transit_api import TransitApi

_FORM: Final = re.compile(r"vault:v([1-9][0-9]{0,8}):[A-Za-z0-9+/=]+")


class TransitKek:
    """One transit key.

    Args:
        url: see `TransitApi`.
        token: see `TransitApi`.
        name: of the key, which an administrator has made.
        mount: path of the engine.
        ca_bundle: see `TransitApi`.
    """

    def __init__(
        self, url: str, token: str, name: str, mount: str = "transit", ca_bundle: Path | None = None
    ) -> None:
        self._api, self._name = TransitApi(url, token, mount, ca_bundle), name
        self._kek = f"transit:{mount}/{name}"

    def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
        """See `tasks.subjects.KeyEncryptionKey`."""
        if self._api.ask("GET", f"keys/{quote(self._name)}") is None:
            raise self._missing()
        text = self._ask(
            "encrypt", "ciphertext", {"plaintext": _base64(key), "associated_data": _base64(context)}
        )
        match = _FORM.fullmatch(text)
        if match is None:
            raise self._missing()
        return f"{self._kek}:v{match[1]}", text.encode()

    def unwrap(self, kek: str, wrapped: bytes, context: bytes) -> bytes:
        """See `tasks.subjects.KeyEncryptionKey`."""
        if not kek.startswith(f"{self._kek}:v"):
            raise KeyUnavailableError(
                f"the key table is wrapped by {kek}, and the settings say {self._kek}",
                next_step="Set [key_table] kek and kek_name to what wrapped it.",
            )
        body = {"ciphertext": wrapped.decode(), "associated_data": _base64(context)}
        return base64.b64decode(self._ask("decrypt", "plaintext", body))

    def rotate(self) -> None:
        """See `tasks.subjects.KeyEncryptionKey`."""

    def retire(self, used: Collection[str]) -> None:
        """See `tasks.subjects.KeyEncryptionKey`."""

    def _ask(self, action: str, result: str, body: dict[str, Any]) -> str:
        answer = self._api.ask("POST", f"{action}/{quote(self._name)}", body)
        if answer is None or not isinstance(answer.get(result), str):
            raise self._missing()
        return str(answer[result])

    def _missing(self) -> KeyUnavailableError:
        return KeyUnavailableError(
            f"there is no usable key {self._kek}",
            next_step="Let an administrator make it, of type aes256-gcm96, or correct [key_table] kek_name.",
        )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
