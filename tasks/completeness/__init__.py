"""Completeness: did everything come that should have come, and is all of it sealed?

Put here: what follows from listings, ledgers, inventories and times, as pure functions. Do not put here:
reading any of them (flows, catalog), or what an auditor checks offline (verify).
"""
