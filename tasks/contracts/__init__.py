"""Data contracts: loading, checking, and compiling them into rules."""

from tasks.contracts.load import list_sources, load_contract, parse_contract, sample_drops
from tasks.contracts.model import Contract, Field, Rule

__all__ = ["Contract", "Field", "Rule", "list_sources", "load_contract", "parse_contract", "sample_drops"]
