"""An HTTP session that sends each request once, so that whoever repeats a write knows that it does.

aiohttp sends PUT again, unasked, when a connection ends without an answer. The first one may have been
stored: a create-only write would then learn that "another writer" was faster, and an entry of the log be
sealed twice.
"""

from __future__ import annotations

from typing import Any

from aiobotocore.httpsession import AIOHTTPSession  # type: ignore[import-untyped]


class SingleSendSession(AIOHTTPSession):  # type: ignore[misc]
    """aiobotocore's session without aiohttp's own repetition, for which there is no public option."""

    async def _get_session(self, proxy_url: str | None) -> Any:
        session = await super()._get_session(proxy_url)
        session._retry_connection = False
        return session
