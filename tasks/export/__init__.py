"""Evidence for others: one record with its proof, and a bundle of everything that a period left behind.

`prove` makes the small file for one record, `bundle` the archive for a range of dates; both read nothing but
what a signed checkpoint covers. Put here: what an auditor receives and how it is packed. Do not put here:
any check that an auditor relies on (`tasks.verify`), or the mathematics (`tasks.evidence`).
"""
