"""What awscli's `cloudtrail validate-logs` says of a directory. A program: awscli takes over `import botocore`.

A request a line, an answer a line. Nothing but S3 and CloudTrail themselves is replaced: the walk, the
signatures and the verdicts are awscli's.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from awscli.customizations.cloudtrail import validation  # type: ignore[import-untyped]


class Directory:
    """As much of an S3 client as the validator uses."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def get_client(self, bucket: str) -> Directory:
        return self

    def get_paginator(self, operation: str) -> Directory:
        return self

    def paginate(self, *, Bucket: str, Marker: str, Prefix: str) -> SimpleNamespace:
        found = sorted(str(path.relative_to(self._root)) for path in self._root.rglob("*") if path.is_file())
        keys = [key for key in found if key.startswith(Prefix) and key > Marker]
        return SimpleNamespace(search=lambda expression: iter(keys))

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        file, sidecar = self._root / Key, self._root / f"{Key}.meta.json"
        if not file.exists():
            raise validation.ClientError(
                {"Error": {"Code": "NoSuchKey", "Message": "not there"}}, "GetObject"
            )
        metadata = json.loads(sidecar.read_text()) if sidecar.exists() else {}
        return {"Body": io.BytesIO(file.read_bytes()), "Metadata": metadata}


class Judge(validation.CloudTrailValidateLogs):  # type: ignore[misc]
    """The command, with a directory for S3 and a file for ListPublicKeys."""

    def __init__(self, root: Path, keys: dict[str, Any]) -> None:
        super().__init__(cast("Any", SimpleNamespace()))
        self._root, self._keys = root, keys

    def setup_services(self, parsed_globals: Any) -> None:
        self._source_region = parsed_globals.region
        self.s3_client_provider = Directory(self._root)
        self.organization_client = None
        self.cloudtrail_client = SimpleNamespace(list_public_keys=lambda **_: self._keys)


def judge(request: dict[str, str]) -> dict[str, Any]:
    """Run the command once.

    Args:
        request: `root`, `keys` (files), `bucket`, `account`, `region`, `trail`, `start`, `end`.
    """
    wanted = SimpleNamespace(
        trail_arn=f"arn:aws:cloudtrail:{request['region']}:{request['account']}:trail/{request['trail']}",
        verbose=True,
        s3_bucket=request["bucket"],
        s3_prefix=None,
        account_id=request["account"],
        start_time=request["start"],
        end_time=request["end"],
    )
    command = Judge(Path(request["root"]), json.loads(Path(request["keys"]).read_text()))
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        code = command._run_main(wanted, SimpleNamespace(region=request["region"]))
    return {"code": code, "output": output.getvalue()}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(judge(json.loads(line))), flush=True)
