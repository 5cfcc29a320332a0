"""What only the world outside the log can tell: landing places, witnesses, certificates."""

from __future__ import annotations

import ssl
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from socket import create_connection
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509

from flows import witnessing
from flows.completeness import check_completeness
from flows.settings import Settings
from flows.wiring import Runtime
from tasks.completeness.findings import CODES
from tasks.errors import StoreUnavailableError, UsageError
from tasks.ingest.listing import list_drops
from tasks.log import reader
from tasks.metrics import families as f
from tasks.metrics.families import Sample
from tasks.metrics.log import SealedLog

_HANDSHAKE_S: Final = 5.0


def landing(runtime: Runtime, log: SealedLog, source: str) -> Iterator[Sample]:
    """What lies in the landing place of a source, and what of it is not sealed. Lists it once."""
    listed = list(list_drops(runtime.landing(source), runtime.contract(source)))
    waiting = log.unsealed(listed)
    yield Sample(f.BACKLOG_DROPS, len(waiting), (source,))
    yield Sample(f.BACKLOG_BYTES, sum(drop.size for drop in waiting), (source,))
    if waiting:
        yield Sample(f.BACKLOG_OLDEST, min(drop.modified_us for drop in waiting) / 1e6, (source,))
    if listed:
        yield Sample(f.LANDED, max(drop.modified_us for drop in listed) / 1e6, (source,))


def completeness(runtime: Runtime, source: str) -> Iterator[Sample]:
    """What is wrong with the last days of a source, as `indelible completeness check` says it."""
    checked = check_completeness(runtime, source)
    found = Counter(finding.code for finding in checked.open)
    for code in CODES:
        yield Sample(f.FINDINGS, found[code], (source, code))
    yield Sample(f.EXPLAINED, len(checked.findings) - len(checked.open), (source,))


def limits(runtime: Runtime) -> Iterator[Sample]:
    """Limits of the settings and contracts that alert rules compare with."""
    settings = runtime.settings
    for source in sorted(settings.landing.uris):
        yield Sample(f.SILENCE_LIMIT, _silence_s(runtime, source), (source,))
    if settings.witness.members:
        yield Sample(f.COSIGNATURE_LIMIT, settings.witness.max_age_s)


def _silence_s(runtime: Runtime, source: str) -> float:
    chosen, rhythm = runtime.settings.metrics, runtime.contract(source).rhythm
    if source in chosen.silence_s or rhythm is None:
        return chosen.silence_s.get(source, chosen.silence_default_s)
    return (rhythm.frequency + rhythm.latency).total_seconds()


def witnesses(runtime: Runtime) -> Iterator[Sample]:
    """How far witnesses vouch for the newest log."""
    shard = reader.newest_shard(runtime.store)
    state = witnessing.state(runtime, shard)
    if state is None:
        return
    yield Sample(f.COSIGNED, state.size or 0, (str(shard),))
    if state.at is not None:
        yield Sample(f.COSIGNATURE, state.at, (str(shard),))


def certificate_files(settings: Settings) -> dict[str, Path]:
    """The certificates on which the settings rely, by a name for people."""
    transit = settings.keys.transit
    files = {
        "store-authorities": settings.store.ca_bundle,
        "landing-authorities": settings.landing.ca_bundle,
        "transit-authorities": transit.ca_bundle if transit else None,
        "timestamp-authority": settings.timestamps.certificates,
    }
    return {name: path for name, path in files.items() if path is not None}


def tls_servers(settings: Settings) -> dict[str, str]:
    """The https addresses that the settings name."""
    transit = settings.keys.transit
    urls = {
        "store": settings.store.endpoint,
        "landing": settings.landing.endpoint,
        "transit": transit.url if transit else None,
        "timestamps": settings.timestamps.url,
        **{f"witness-{name}": member.url for name, member in settings.witness.members.items()},
    }
    return {name: url for name, url in urls.items() if url is not None and url.startswith("https://")}


def file_certificates(files: Mapping[str, Path]) -> Iterator[Sample]:
    """When the first certificate of each file ends.

    Raises:
        UsageError: a file cannot be read or holds no certificate.
    """
    for name, path in files.items():
        try:
            ends = [
                c.not_valid_after_utc.timestamp() for c in x509.load_pem_x509_certificates(path.read_bytes())
            ]
        except (OSError, ValueError) as error:
            raise UsageError(
                f"{path} cannot be read as certificates", next_step="Correct the path in indelible.toml."
            ) from error
        yield Sample(f.CERTIFICATE, min(ends), (name,))


def server_certificate(name: str, url: str) -> Iterator[Sample]:
    """When the certificate ends that a server shows.

    Its chain is not checked: this only reads a date, and one that has ended already must be told, too.

    Raises:
        StoreUnavailableError: the server cannot be reached or shows none.
    """
    parts = urlsplit(url)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    host = parts.hostname or ""
    try:
        with (
            closing(create_connection((host, parts.port or 443), timeout=_HANDSHAKE_S)) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            shown = secured.getpeercert(binary_form=True)
    except OSError as error:
        raise StoreUnavailableError(f"no TLS with the {name} server ({type(error).__name__})") from error
    if shown is None:
        raise StoreUnavailableError(f"the {name} server shows no certificate")
    end = x509.load_der_x509_certificate(shown).not_valid_after_utc.timestamp()
    yield Sample(f.CERTIFICATE, end, (f"{name}-server",))
