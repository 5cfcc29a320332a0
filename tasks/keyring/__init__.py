"""Where keys come from: the one place that the pipeline asks for secrets and signers.

Keys never enter the store. Destroying a key makes the pseudonyms and ciphertexts made with it
unlinkable and unreadable, and changes no sealed leaf.
"""

from __future__ import annotations

from tasks.keyring.file import FileKeyring
from tasks.keyring.protocol import KEY_BYTES, ErasableKeys, Keyring, Purpose, SigningKeys

__all__ = ["KEY_BYTES", "ErasableKeys", "FileKeyring", "Keyring", "Purpose", "SigningKeys"]
