"""Options and output that commands share."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console

from flows import logs, wiring
from flows.embedded import embedded_settings
from flows.settings import Settings, load_settings

Store = Annotated[
    str | None,
    typer.Option(
        "--store", help="Where evidence lies: file:///directory or s3://bucket/prefix.", show_default=False
    ),
]
Landing = Annotated[
    str | None,
    typer.Option(
        "--landing", help="Where raw drops land: file:///directory or s3://bucket/prefix.", show_default=False
    ),
]
Endpoint = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        help="URL of an S3 server other than AWS, for --store and --landing.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def settings_with(
    store: str | None = None,
    landing: str | None = None,
    endpoint: str | None = None,
    source: str | None = None,
    identity: str | None = None,
) -> Settings:
    """The settings, with the command's own options on top, and the embedded store where none is named.

    `identity` is whose credentials are used in the embedded store; None: the writer's.
    """
    settings = load_settings()
    logs.install(settings.logs)
    if store is not None or endpoint is not None:
        changes = {"uri": store or settings.store.uri, "endpoint": endpoint or settings.store.endpoint}
        settings = settings.model_copy(update={"store": settings.store.model_copy(update=changes)})
    if landing is not None or endpoint is not None:
        uris = settings.landing.uris | ({source: landing} if landing and source else {})
        changes_landing: dict[str, Any] = {"uris": uris, "endpoint": endpoint or settings.landing.endpoint}
        settings = settings.model_copy(
            update={"landing": settings.landing.model_copy(update=changes_landing)}
        )
    return settings if settings.store.uri else embedded_settings(settings, identity=identity or "writer")


def runtime_with(**options: str | None) -> wiring.Runtime:
    """A runtime for `settings_with(**options)`."""
    return wiring.build(settings_with(**options))


def print_json(document: Mapping[str, Any] | list[Any]) -> None:
    """One JSON document on standard output."""
    json.dump(document, sys.stdout, indent=2, default=str, ensure_ascii=False)
    sys.stdout.write("\n")


@contextmanager
def working(as_json: bool, start: str) -> Iterator[Any]:
    """A progress line on standard error; nothing when output is for machines or not on a terminal."""
    if as_json or not err.is_terminal:
        yield lambda _: None
        return
    with err.status(start) as status:
        yield status.update


def next_step(text: str) -> None:
    """Tell what one would do next."""
    out.print(f"[dim]next:[/] [bold]{text}[/]")
