"""The request line of an access log, taken apart: `GET /path HTTP/1.1`.

Only a line of exactly three well-formed parts (RFC 9112, section 3) has a method, a path and a protocol. TLS
hellos, garbage and HTTP/0.9 have none; the request itself is kept as it came.
"""

from __future__ import annotations

import polars as pl

PARTS = ("method", "path", "protocol")
SOURCE = "request"

_REQUEST_LINE = r"^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([^ ]+) (HTTP/[0-9](?:\.[0-9])?)$"


def split_requests(request: pl.Series) -> dict[str, pl.Series]:
    """Method, path and protocol of each request line; null where it is not well formed."""
    parts = request.str.extract_groups(_REQUEST_LINE).struct.unnest()
    return dict(zip(PARTS, parts.get_columns(), strict=True))
