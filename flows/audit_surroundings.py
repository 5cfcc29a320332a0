"""The checks of an audit that look beyond what is sealed: sources, contracts, certificates, the store, redaction."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any, Final

import pyarrow.parquet as pq

from flows.audit_checks import Examined, broken
from flows.completeness import check_completeness
from flows.evidence import DELETE_MARKER, EXTRA_VERSION
from flows.metrics import live
from flows.probe import probe_store
from tasks.audit.findings import Found, Result, count
from tasks.completeness.findings import CODES
from tasks.contracts.load import list_sources
from tasks.errors import IndelibleError, NotFoundError, RedactionLeakError
from tasks.evidence.completeness_entry import moment
from tasks.metrics.families import Distribution

_CANARY_LOCK: Final = timedelta(hours=1)
_EXTRA: Final = "_extra"
_NAMES: Final = (DELETE_MARKER, EXTRA_VERSION)
_LISTING: Final = "tell these credentials to read the landing place, then: indelible completeness check"


def check_sources(examined: Examined) -> list[Result]:
    """Ask of each source with a rhythm whether all came, over the last period of audits."""
    runtime, found, measured = examined.runtime, list[Found](), 0
    until = moment(examined.plan.began_at)
    since = until - timedelta(days=examined.plan.period_days)
    for source in _sources(examined):
        examined.progress(f"completeness of {source}")
        try:
            checked = check_completeness(runtime, source, since, until)
        except IndelibleError as error:
            step = error.next_step or _LISTING
            found.append(Found("completeness-not-measured", "not-measured", str(error), step, source))
            continue
        except Exception as error:  # noqa: BLE001 - a damaged file upsets SQL, and the other sources are still asked
            result = broken("completeness", error)
            found.append(
                Found("completeness-not-measured", "not-measured", result.sentence, result.next_step, source)
            )
            continue
        measured += 1
        for finding in checked.open:
            verdict: Any = finding.verdict
            step = f"{CODES[finding.code][2]} ({source})"
            found.append(Found(finding.code, verdict, finding.sentence, step, finding.key or source))
    what = count(measured, "source") if measured else "No source"
    sentence = f"{what} could be compared with landing place and rhythm, from {since:%Y-%m-%d} on."
    return [Result("completeness", sentence, found, measured=bool(measured))]


def check_contracts(examined: Examined) -> list[Result]:
    """Compare the contract in use with the one of each source's newest batch."""
    known = set(list_sources(examined.runtime.settings.contracts))
    found, sources = list[Found](), 0
    for source, entry in _newest_batches(examined):
        sources += 1
        found += _drift(examined, source, entry, known)
        found += _unknown_fields(examined, source, entry)
    return [
        Result(
            "contracts",
            f"The contract in use was compared with the sealed one: {count(sources, 'source')}.",
            found,
            measured=bool(sources),
        )
    ]


def check_certificates(examined: Examined) -> list[Result]:
    """Read when the certificates end on which the settings rely, in files and as servers show them."""
    settings, found, looked = examined.runtime.settings, list[Found](), 0
    now = moment(examined.plan.began_at).timestamp()
    days = settings.audit.expiry_days
    asked = [
        partial(live.file_certificates, {n: path}) for n, path in live.certificate_files(settings).items()
    ]
    asked += [partial(live.server_certificate, n, url) for n, url in live.tls_servers(settings).items()]
    step = "infra/docs/runbooks/certificate-expiring.md"
    for ask in asked:
        try:
            samples = list(ask())
        except IndelibleError as error:
            found.append(
                Found("certificate-not-measured", "not-measured", str(error), error.next_step or step)
            )
            continue
        looked += len(samples)
        for sample in samples:
            assert not isinstance(sample.value, Distribution)
            name, left = sample.labels[0], (sample.value - now) / 86_400
            if left < 0:
                found.append(Found("certificate-ended", "missing", "A certificate has ended.", step, name))
            elif left < days:
                sentence = f"A certificate ends in less than {days} days."
                found.append(Found("certificate-ending", "notice", sentence, step, name))
    if not asked:
        return [Result("certificates", "The settings name no certificate and no https address.")]
    return [Result("certificates", f"{looked:,} certificates were read.", found, measured=bool(looked))]


def check_probe(examined: Examined) -> list[Result]:
    """Attack objects made for the test; that result is an entry of its own as well."""
    runtime = examined.runtime
    if not runtime.store.worm:
        return [
            Result("probe", "This store refuses nothing.", measured=False, next_step="infra/docs/stores.md")
        ]
    probed = probe_store(runtime, retain_for=_CANARY_LOCK)
    tried = [finding for finding in probed.findings if finding.code not in _NAMES]
    step = "Correct the bucket or the rights of that identity: infra/docs/stores.md, infra/docs/roles.md"
    found = [Found(f.code, "changed", f.sentence, step, f.identity or "store") for f in tried if not f.ok]
    refused = len(tried) - len(found)
    return [
        Result("probe", f"{refused} of {len(tried)} properties hold on objects made for the test.", found)
    ]


def check_canaries(examined: Examined) -> list[Result]:
    """Deliver made-up personal data of each source with a contract, and look for it in what was stored."""
    from flows import canary

    if not examined.runtime.settings.audit.canaries:
        return [
            Result("canaries", "[audit] canaries is off: no made-up event was delivered.", [], measured=False)
        ]
    found, told = list[Found](), list[str]()
    for source in _sources(examined):
        try:
            flight = canary.release(examined.runtime, source, examined.plan.seed, examined.progress)
            flight.raise_any()
            told.append(flight.sentence)
        except RedactionLeakError as error:
            found.append(Found("redaction-leak", "changed", str(error), error.next_step, source))
        except IndelibleError as error:
            found.append(Found("canaries-not-measured", "not-measured", str(error), error.next_step, source))
    sentence = " ".join(told) or "No canary was released."
    return [Result("canaries", sentence, found, measured=bool(told))]


def _sources(examined: Examined) -> list[str]:
    """Sources that have been sealed or have a landing place."""
    sealed = {source for source, _ in _newest_batches(examined)}
    return sorted(sealed | set(examined.runtime.settings.landing.uris))


def _newest_batches(examined: Examined) -> Iterator[tuple[str, dict[str, Any]]]:
    rows = examined.catalog.connection.execute(
        "SELECT source, arg_max(document, (shard, entry)) FROM entries WHERE type = 'seal'"
        " GROUP BY source ORDER BY source"
    ).fetchall()
    return ((source, json.loads(document)) for source, document in rows)


def _drift(examined: Examined, source: str, entry: dict[str, Any], known: set[str]) -> Iterator[Found]:
    sealed = entry["contract"]
    if source not in known:
        step = "Put the contract back from its sealed copy, or leave it if the source has ended."
        yield Found("contract-missing", "notice", "A sealed source has no contract here.", step, source)
        return
    used = examined.runtime.contract(source)
    if used.sha256 == sealed["sha256"]:
        return
    if used.version == sealed["version"]:
        sentence = (
            f"The contract in use says version {used.version} and is not the one that was sealed as that."
        )
        step = f"Give it a new version, or put the sealed one back: {sealed['path']}"
        yield Found("contract-drift", "changed", sentence, step, source)
    else:
        sentence = f"Version {used.version} is in use; the newest batch was sealed under {sealed['version']}."
        yield Found(
            "contract-newer", "notice", sentence, "The next delivery seals it; nothing to do.", source
        )


def _unknown_fields(examined: Examined, source: str, entry: dict[str, Any]) -> Iterator[Found]:
    """Say in how many records of the newest file senders wrote what the contract does not name."""
    if not entry["files"]:
        return
    facts = entry["files"][-1]
    try:
        data = examined.runtime.store.read(facts["path"], facts["version_id"] or None)
        column = pq.read_table(io.BytesIO(data), columns=[_EXTRA]).column(_EXTRA)
    except (NotFoundError, OSError, ValueError, KeyError):
        return  # the check of objects names it
    more = len(column) - column.null_count
    if more:
        share = f"{more:,} of {len(column):,} records"
        sentence = f"{share} of the newest file have fields that the contract does not name."
        step = f"Add them to the contract, or ask the sender: indelible query (column {_EXTRA} of {source})"
        yield Found("unknown-fields", "notice", sentence, step, source)
