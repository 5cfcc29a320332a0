"""The WORM probe as an examination: attack the store, look for what lies on its names, seal the result.

Put here: who tries, and what becomes of the result. Do not put here: the attacks (`tasks.storage.attempts`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta

from flows import pipeline
from flows.entries import append_entry
from flows.evidence import DELETE_MARKER, EXTRA_VERSION, StoreReader
from flows.settings import IdentitySettings, Settings
from flows.wiring import Runtime, open_evidence
from tasks.storage import ObjectStore
from tasks.storage.embedded import EmbeddedStore
from tasks.storage.finding import Finding
from tasks.storage.probe import SEALABLE, probe, product
from tasks.verify.report import Findings

KIND = "worm-probe"
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Probed:
    """What the probe found.

    Attributes:
        findings: one a property and identity.
        server: what the server calls itself.
        place: shard and index of the sealed result; None where the store is not fit to seal anything in.
    """

    findings: tuple[Finding, ...]
    server: str
    place: tuple[int, int] | None

    @property
    def enforced(self) -> bool:
        """Whether everything that must fail failed, and nothing lies on the sealed names."""
        return all(finding.ok for finding in self.findings)


def probe_store(runtime: Runtime, *, retain_for: timedelta) -> Probed:
    """Probe the store with its own credentials and those of the other identities, and seal the result.

    Args:
        runtime: the deployment.
        retain_for: lock of the canaries, which nobody can end early.

    Raises:
        StoreUnavailableError: the store cannot be reached.
        StoreRefusedError: it refuses to tell anything at all, or to one of the identities.
    """
    others = _open_as(runtime, identities(runtime.settings))
    findings = (*probe(runtime.store, retain_for=retain_for, others=others), *check_names(runtime.store))
    server = product(runtime.store)
    fit = all(finding.ok for finding in findings if finding.code in SEALABLE)
    return Probed(findings, server, _seal(runtime, findings, server) if fit else None)


def identities(settings: Settings) -> Mapping[str, IdentitySettings]:
    """Who tries besides the store's own credentials; in the embedded store, its administrator."""
    embedded = EmbeddedStore(settings.state)
    if not embedded.running or settings.store.endpoint != embedded.endpoint:
        return settings.probe.identities
    keys = asdict(embedded.credentials("admin"))
    return {"admin": IdentitySettings.model_validate(keys), **settings.probe.identities}


def _open_as(runtime: Runtime, others: Mapping[str, IdentitySettings]) -> dict[str, ObjectStore]:
    store = runtime.settings.store.model_copy(update={"uri": runtime.store.uri})
    return {
        name: open_evidence(
            store.model_copy(update={"access_key": keys.access_key, "secret_key": keys.secret_key})
        )
        for name, keys in others.items()
    }


def check_names(store: ObjectStore) -> Iterator[Finding]:
    """What lies on names that are written once; S3 lets it, so it has to be looked for. Canaries are not asked."""
    findings = Findings()
    StoreReader(store).check_versions(findings)
    for code, what in ((DELETE_MARKER, "a delete marker"), (EXTRA_VERSION, "another version")):
        found = [finding.path for finding in findings.listed if finding.reason == code]
        if found:
            names = ", ".join(found[:_NAMED]) + (", ..." if len(found) > _NAMED else "")
            sentence = (
                f"{len(found)} sealed names have {what} on them: {names}. What was sealed is still there; "
                "find out who did it, and run: indelible verify"
            )
        else:
            sentence = f"No sealed name has {what} on it."
        yield Finding(code, not found, sentence)


def _seal(runtime: Runtime, findings: tuple[Finding, ...], server: str) -> tuple[int, int]:
    body = {
        "enforced": all(finding.ok for finding in findings),
        "findings": [asdict(finding) for finding in findings],
        "kind": KIND,
        "server": server,
        "software": runtime.software,
        "store": runtime.store.uri,
    }
    with runtime.catalog() as catalog:
        place = append_entry(runtime, catalog, "audit", body)
        pipeline.publish(runtime, catalog)
    return place
