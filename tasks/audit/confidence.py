"""What a sample of records is worth: how probably it would have met an altered one."""

from __future__ import annotations

from math import exp, floor, log
from typing import Final

from tasks.evidence.audit_entry import MILLION, AuditSample

ALTERED_PPM: Final = 1_000


def altered(population: int, ppm: int) -> int:
    """`ppm` millionths of `population`, rounded up, and at least one record."""
    return min(population, max(1, -(-population * ppm // MILLION)))


def found_ppm(population: int, records: int, ppm: int = ALTERED_PPM) -> int:
    """Probability of meeting an altered record, in millionths, rounded down.

    The draw is without replacement, so the number of altered records in it is hypergeometric; a sample misses all
    `k` of them with a probability of C(n - k, m) / C(n, m).

    Args:
        population: records that there are, `n`.
        records: distinct ones that were drawn, `m`.
        ppm: share of altered records, in millionths.
    """
    bad = altered(population, ppm)
    if not records:
        return 0
    if records > population - bad:
        return MILLION
    fewer, more = sorted((bad, records))  # the formula is symmetric in the two
    miss = exp(sum(log(population - more - i) - log(population - i) for i in range(fewer)))
    return floor(MILLION * (1 - miss))


def in_words(sample: AuditSample) -> str:
    """For people."""
    if not sample["population"]:
        return "There are no records yet."
    drawn = f"{sample['records']:,} of {sample['population']:,} records"
    if sample["records"] == sample["population"]:
        return (
            f"All {sample['population']:,} records were hashed again; an altered one would have been found."
        )
    if not sample["records"]:
        return f"No record was drawn of {sample['population']:,}."
    return (
        f"{drawn} were drawn at random and hashed again. If {_percent(sample['altered_ppm'])} of all records were "
        f"altered, this sample would have found it with {_percent(sample['found_ppm'])}."
    )


def _percent(ppm: int) -> str:
    """`0.1 %`, `99.3 %`; cut off, so that nothing is called certain that is not."""
    return f"{ppm // 1_000 / 10:g} %"
