"""Makes what the settings name and what is not there yet: buckets, the keyring, deployments.

    python -m flows.provision      with an administrator's keys of the store, at the server PREFECT_API_URL names

For servers that are ours alone, as in `infra/compose.yaml`; on AWS, Terraform makes the buckets. Repeating it
is harmless, and is a part of every upgrade.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

from flows.deployments import declare, with_rhythm
from flows.registration import register
from flows.settings import Settings, load_settings
from flows.wiring import build, open_evidence
from tasks.errors import IndelibleError
from tasks.storage.bucket import Requester, ensure_bucket

LOCK_DAYS: Final = 1  # of what is written without a lock of its own: only the log's pointer
_S3: Final = "s3://"


def main() -> None:
    """Make all of it, and print what there is as JSON."""
    try:
        made = provision(load_settings(), Path.cwd())
    except IndelibleError as error:
        print(f"{error}\n{error.next_step}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    json.dump(made, sys.stdout, indent=1)
    print()


def provision(settings: Settings, working_directory: Path) -> dict[str, list[str]]:
    """Make all of it.

    Args:
        settings: `[store]` holds an administrator's keys.
        working_directory: where a worker starts its runs.

    Returns:
        Buckets and deployments that there are now.
    """
    buckets = make_buckets(settings)
    build(settings).keyring.secret("index")
    sources = sorted(settings.landing.uris)
    rhythmic = with_rhythm(sources, settings.contracts)
    deployments = declare(settings.schedules, settings.recovery, sources, rhythmic)
    names = register(deployments, sources, settings.recovery, working_directory)
    return {"buckets": buckets, "deployments": names}


def make_buckets(settings: Settings) -> list[str]:
    """Make the bucket of the store, with Object Lock, and those of landing places on the same server.

    Args:
        settings: `[store]` holds an administrator's keys.

    Returns:
        Their URIs. Directories, and places on other servers, are left alone.

    Raises:
        StoreRefusedError: these keys may not make buckets, or a bucket is there that has no Object Lock.
    """
    ours = settings.landing.endpoint == settings.store.endpoint
    places = settings.landing.uris.values() if ours else ()
    buckets: dict[str, int | None] = {_bucket(uri): None for uri in places if uri.startswith(_S3)}
    if settings.store.uri.startswith(_S3):
        buckets[_bucket(settings.store.uri)] = LOCK_DAYS
    for uri, lock_days in buckets.items():
        store = open_evidence(settings.store.model_copy(update={"uri": uri}))
        assert isinstance(store, Requester)
        ensure_bucket(store, lock_days=lock_days)
    return sorted(buckets)


def _bucket(uri: str) -> str:
    return _S3 + uri.removeprefix(_S3).partition("?")[0].partition("/")[0]


if __name__ == "__main__":
    main()
