"""The verifier as one file for any Python with `cryptography` and `pyarrow`: a zipapp (PEP 441)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

from tasks.export.files import Member, write_zip

_SHEBANG = b"#!/usr/bin/env python3\n"
_MAIN = b"import sys\n\nfrom tasks.verify.command import main\n\nsys.exit(main())\n"
_PACKAGES = ("custody", "evidence", "verify")
_MODULES = ("__init__.py", "errors.py")


def verifier_archive() -> bytes:
    """The sources of `indelible-verify` as they stand in this installation, as an executable archive."""
    buffer = io.BytesIO()
    members = [Member.of("__main__.py", _MAIN), *(Member.of(path, data) for path, data in _sources())]
    write_zip(buffer, sorted(members, key=lambda m: m.path))
    return _SHEBANG + buffer.getvalue()


def _sources() -> Iterator[tuple[str, bytes]]:
    root = files("tasks")
    for name in _MODULES:
        yield f"tasks/{name}", root.joinpath(name).read_bytes()
    for package in _PACKAGES:
        for module in _modules(root.joinpath(package)):
            yield f"tasks/{package}/{module.name}", module.read_bytes()


def _modules(package: Traversable) -> list[Traversable]:
    return [module for module in package.iterdir() if module.name.endswith(".py")]
