"""One HTTP POST to a server that somebody else runs: bounded in time and size, without redirects."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final
from urllib.parse import urlsplit

from tasks.errors import StoreUnavailableError, UsageError
from tasks.witness.service import Answer

MAX_ANSWER_BYTES: Final = 1 << 16


def post(url: str, body: bytes, content_type: str, timeout_s: float) -> Answer:
    """Send `body` and return the answer, whatever its status.

    Raises:
        StoreUnavailableError: the server cannot be reached, is too slow or answers too much.
        UsageError: the URL is none.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError(f"{url} is no http or https URL", next_step="Correct it in the settings.")
    connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = connect(parts.hostname, parts.port, timeout=timeout_s)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", target, body, {"Content-Type": content_type, "Connection": "close"})
        response = connection.getresponse()
        data = response.read(MAX_ANSWER_BYTES + 1)
    except (OSError, HTTPException) as error:
        raise StoreUnavailableError(f"it cannot be reached ({type(error).__name__})") from error
    finally:
        connection.close()
    if len(data) > MAX_ANSWER_BYTES:
        raise StoreUnavailableError(f"it answered more than {MAX_ANSWER_BYTES} bytes")
    return Answer(response.status, data, response.headers.get_content_type())
