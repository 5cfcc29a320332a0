"""An audit of everything that is sealed: plan, make each check, seal the result.

What must outlive an audit is in the log: which slots of the rolling schedule were read, and when. What it has done so
far lies in the state directory until it ends, so that one that was killed goes on; losing that costs time alone.
Put here: the order and the plan. Do not put here: checks (`flows.audit_checks`, `tasks.verify`), Prefect.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flows import audit_checks, audit_surroundings, pipeline
from flows.audit_checks import Examined
from flows.audit_plan import KIND, Order, Plan, Sealed, make_plan
from flows.entries import append_made
from flows.inventories import require_appender, store_list
from flows.outside import confirm
from flows.shards import integrate
from flows.wiring import Runtime
from tasks.audit.confidence import ALTERED_PPM, found_ppm
from tasks.audit.findings import CHECKS, Result
from tasks.audit.report import render
from tasks.errors import IndelibleError
from tasks.evidence.audit_entry import FAILING, drawn
from tasks.export.files import whole_file
from tasks.log import reader

if TYPE_CHECKING:
    from tasks.catalog.catalog import Catalog

# Checks that are made together. The first step reads the most, and tells of records if all of them are hashed.
STEPS: Final[Sequence[tuple[Sequence[str], Callable[[Examined], Sequence[Result]]]]] = (
    (("log", "witnesses", "objects", "records", "versions", "locks"), audit_checks.check_evidence),
    (("records",), audit_checks.check_records),
    (("holds",), audit_checks.check_holds),
    (("completeness",), audit_surroundings.check_sources),
    (("contracts",), audit_surroundings.check_contracts),
    (("certificates",), audit_surroundings.check_certificates),
    (("drill",), audit_checks.check_drill),
    (("probe",), audit_surroundings.check_probe),
    (("canaries",), audit_surroundings.check_canaries),
)
_COUNTS: Final = ("bytes", "entries", "objects", "rows")
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Audited:
    """An audit and where it is sealed.

    Attributes:
        entry: the body of its entry.
        lines: its report.
        page: the report for people.
        place: shard and index; None when a run that was killed had sealed it.
        published: whether the catalog could be published; a damaged file can make that impossible.
        resumed: checks that a run which was killed had made.
    """

    entry: Mapping[str, Any]
    lines: Sequence[Mapping[str, Any]]
    page: Path
    place: tuple[int, int] | None
    published: bool
    resumed: int

    @property
    def holds(self) -> bool:
        """Whether nothing is changed and nothing missing."""
        return bool(self.entry["holds"])

    def as_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            **self.entry,
            "lines": list(self.lines),
            "page": str(self.page),
            "sealed": self.place,
            "published": self.published,
            "resumed": self.resumed,
        }


def audit(
    runtime: Runtime, order: Order, *, resume: bool = False, progress: Progress = lambda _: None
) -> Audited:
    """Audit the store and seal the result.

    Args:
        runtime: the deployment.
        order: what is asked for.
        resume: go on with an audit that was killed, if there is one; it goes on as it was ordered.
        progress: told what is done.

    Raises:
        UsageError: nothing is sealed yet, or this deployment appends nothing to the log.
        StoreUnavailableError: the store cannot be reached.
    """
    order.check()
    require_appender(runtime)
    done = _Done(runtime.settings.state, resume=resume)
    with runtime.catalog() as catalog:
        known = done.plan
        if known is None or known.store != runtime.store.uri or known.software != runtime.software:
            done.begin(make_plan(runtime, catalog, order))
        chosen = done.plan
        assert chosen is not None
        resumed = len(done.results)
        examined = Examined(runtime, catalog, chosen, done.journal, progress)
        for names, make in STEPS:
            if names[0] not in done.results:
                done.keep(_make(examined, names, make))
        results = [done.results[name] for name in CHECKS if name in done.results]
        sealed = _seal(runtime, catalog, chosen, results)
    done.end()
    return Audited(**sealed, resumed=resumed)


def _make(
    examined: Examined, names: Sequence[str], make: Callable[[Examined], Sequence[Result]]
) -> Sequence[Result]:
    """Make the checks of one step. What is not asked for, or cannot be made, is not measured."""
    left_out = [name for name in names if name in examined.plan.without]
    asked = [name for name in names if name not in left_out]
    results = [
        Result(
            name, "It was left out, as was asked for.", measured=False, next_step="Audit without --without."
        )
        for name in left_out
    ]
    if not asked:
        return results
    examined.progress(names[0])
    try:
        made = make(examined)
    except IndelibleError as error:
        if error.transient:
            raise
        made = [Result(n, str(error), measured=False, next_step=error.next_step or "") for n in asked]
    except Exception as error:  # noqa: BLE001 - one check that breaks must not keep the others from being made
        made = [audit_checks.broken(n, error) for n in asked]
    return [*results, *(result for result in made if result.check in asked)]


def _seal(
    runtime: Runtime, catalog: Catalog, chosen: Plan, results: Sequence[Sequence[Any]]
) -> dict[str, Any]:
    lines = [line for result, _ in results for line in result]
    counts: Counter[str] = Counter()
    for _, counted in results:
        counts.update({name: counted.get(name, 0) for name in _COUNTS})
    body = _body(catalog, chosen, lines, counts)

    def make(_: int) -> Mapping[str, Any] | None:
        if _sealed_before(catalog, chosen.seed) is not None:
            return None
        body["report"] = body.get("report") or store_list(runtime, lines)
        return body

    made = append_made(runtime, catalog, "audit", make)
    place, entry = (
        (made[0], body) if made is not None else (None, _sealed_before(catalog, chosen.seed) or body)
    )
    published = _publish(runtime, catalog)
    name = f"audit-{chosen.began_at.replace(':', '')}.html"
    page = runtime.settings.state.resolve() / "audits" / name
    page.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(page) as file:
        file.write(render(entry, lines, store=runtime.store.uri, place=place))
    return {"entry": entry, "lines": lines, "page": page, "place": place, "published": published}


def _publish(runtime: Runtime, catalog: Catalog) -> bool:
    """Bring the result under a checkpoint, and publish the catalog unless damage keeps it from being made."""
    try:
        pipeline.publish(runtime, catalog)
    except IndelibleError:
        raise
    except Exception:  # noqa: BLE001 - SQL over a damaged file; that result must be signed above all
        years = reader.shards(runtime.store)
        for year in years:
            integrate(runtime, year)
        confirm(runtime, years, max(years))
        return False
    return True


def _body(
    catalog: Catalog, chosen: Plan, lines: Sequence[Mapping[str, Any]], counts: Mapping[str, int]
) -> dict[str, Any]:
    found = [line for line in lines if line["type"] == "finding"]
    states = {line["name"]: line["state"] for line in lines if line["type"] == "check"}
    measured = states["objects"] != "not-measured"
    population = Sealed.read(catalog, chosen.logs).population
    hashed = states["records"] != "not-measured"
    wanted = population if chosen.mode == "whole" else chosen.sample
    records = len(drawn(chosen.seed, population, wanted)) if hashed else 0
    return {
        "began_at": chosen.began_at,
        "checkpoint": {"root": chosen.root, "shard": chosen.shard, "size": chosen.size},
        "checks": [{"name": name, "state": state} for name, state in states.items()],
        "counts": {name: counts.get(name, 0) for name in _COUNTS},
        "findings": [{key: line[key] for key in ("check", "code", "count", "verdict")} for line in found],
        "holds": not any(line["verdict"] in FAILING for line in found),
        "kind": KIND,
        "mode": chosen.mode,
        "period_days": chosen.period_days,
        "sample": {
            "altered_ppm": ALTERED_PPM,
            "found_ppm": found_ppm(population, records) if population else 0,
            "population": population,
            "records": records,
            "seed": chosen.seed,
        },
        "slots": list(chosen.slots) if measured else [],
        "software": chosen.software,
    }


def _sealed_before(catalog: Catalog, seed: str) -> dict[str, Any] | None:
    """The entry of this very audit, if a run of it was killed after sealing."""
    rows = catalog.connection.execute(
        "SELECT document FROM entries WHERE type = 'audit' AND (document->>'$.sample.seed') = ?", [seed]
    ).fetchall()
    return json.loads(rows[0][0]) if rows else None


class _Done:
    """What an audit has done so far, in the state directory."""

    def __init__(self, state: Path, *, resume: bool) -> None:
        self._path, self.journal = state / "audit.json", state / "audit.jsonl"
        self.plan: Plan | None = None
        self.results: dict[str, tuple[list[Any], dict[str, int]]] = {}
        if not resume:
            self.end()
            return
        with suppress(FileNotFoundError, ValueError, TypeError):
            kept = json.loads(self._path.read_bytes())
            self.plan = Plan(**kept["plan"])
            self.results = {name: (lines, counts) for name, (lines, counts) in kept["results"].items()}

    def begin(self, chosen: Plan) -> None:
        """Begin anew."""
        self.end()
        self.plan, self.results = chosen, {}
        self._write()

    def keep(self, results: Sequence[Result]) -> None:
        """Keep what was found."""
        self.results |= {r.check: (list(r.lines()), dict(r.counts)) for r in results}
        self._write()

    def end(self) -> None:
        """There is nothing to go on with."""
        self._path.unlink(missing_ok=True)
        self.journal.unlink(missing_ok=True)

    def _write(self) -> None:
        assert self.plan is not None
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(self._path) as file:
            file.write(json.dumps({"plan": asdict(self.plan), "results": self.results}).encode())
