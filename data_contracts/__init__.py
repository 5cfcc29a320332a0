"""Data, shipped in the wheel: a contract a source, and the contract with the auditor."""
