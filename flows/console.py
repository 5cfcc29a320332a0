"""The Prefect server with a browser policy: its pages may talk to this server and to nobody else.

    python -m flows.console --host 127.0.0.1 --port 4200

Prefect's second user interface asks an outside host for its configuration and sends it what a person does, and no
setting of Prefect's forbids that. A Content-Security-Policy does, for every page (W3C CSP Level 3).
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import uvicorn
from prefect.server.api.server import create_app
from prefect.settings import PREFECT_SERVER_LOGGING_LEVEL, PREFECT_UI_API_URL
from starlette.datastructures import MutableHeaders

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER: Final = "content-security-policy"


def policy(api_url: str) -> str:
    """What pages may load and whom they may ask.

    Args:
        api_url: where they find the API; another name of this host is another origin to a browser.
    """
    api = urlsplit(api_url)
    socket = "wss" if api.scheme == "https" else "ws"
    return "; ".join(
        (
            "default-src 'self'",
            "script-src 'self' 'unsafe-eval'",  # the drawing of a run's tasks makes its shaders so
            f"connect-src 'self' {api.scheme}://{api.netloc} {socket}://{api.netloc}",
            "style-src 'self' 'unsafe-inline'",  # both interfaces place things by style attributes
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def with_policy(app: ASGIApp, value: str) -> ASGIApp:
    """An application whose every HTTP answer carries the policy."""

    async def confined(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers[HEADER] = value
                headers["referrer-policy"] = "no-referrer"
                headers["x-content-type-options"] = "nosniff"
            await send(message)

        await app(scope, receive, send_with_policy if scope["type"] == "http" else send)

    return confined


def main() -> None:
    """Serve until interrupted. All other settings are Prefect's own."""
    parser = argparse.ArgumentParser(prog="python -m flows.console")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    asked = parser.parse_args()
    app = with_policy(create_app(final=True), policy(PREFECT_UI_API_URL.value()))
    level = PREFECT_SERVER_LOGGING_LEVEL.value().lower()
    uvicorn.run(app, host=asked.host, port=asked.port, log_level=level)


if __name__ == "__main__":
    main()
