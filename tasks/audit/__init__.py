"""Audits of everything that is sealed: what is due, what a sample is worth, what was found, and the page that says so.

Put here: functions of values. Do not put here: reading a store, sealing (`flows.audit`), the checks of the public
format (`tasks.verify`), the form of the sealed result (`tasks.evidence.audit_entry`).
"""
