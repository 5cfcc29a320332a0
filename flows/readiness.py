"""Start-up probe: may anything be sealed in this store? Asked at the start of each run, in three requests.

Put here: the refusal. What is asked of the store is in `tasks.storage.probe`; attacks on it are made by
`indelible store probe`.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from pathlib import Path

from flows.wiring import Runtime
from tasks.errors import StoreRefusedError

_CANARY_LOCK = timedelta(days=1)


def check_store(runtime: Runtime) -> None:
    """Refuse an S3 store whose bucket or server would not keep what is sealed. A directory is never WORM.

    Whether one of several creators wins is tried once a store, with a canary; the state directory remembers
    it, and where that is lost it is tried again.

    Raises:
        StoreRefusedError: says what to change.
    """
    store = runtime.store
    if not store.uri.startswith("s3://"):
        return
    from tasks.storage.probe import CANARIES, check_bucket, create_if_absent

    findings = [*check_bucket(store)]
    remembered = _remembered(runtime)
    if all(finding.ok for finding in findings) and not remembered.exists():
        path = f"{CANARIES}/{secrets.token_hex(8)}/race"
        findings.append(create_if_absent(store, path, store.now() + _CANARY_LOCK))
        if findings[-1].ok:
            remembered.parent.mkdir(parents=True, exist_ok=True)
            remembered.touch()
    wrong = [finding.sentence for finding in findings if not finding.ok]
    if wrong:
        raise StoreRefusedError(
            f"nothing is sealed in {store.uri}: {' '.join(wrong)}",
            next_step="Change what is named, and see all that is wrong: indelible store probe",
        )


def _remembered(runtime: Runtime) -> Path:
    where = f"{getattr(runtime.store, 'endpoint', None)} {runtime.store.uri}"
    return runtime.settings.state / "probed" / hashlib.sha256(where.encode()).hexdigest()[:32]
