"""A task is tried again only after an error that may pass by itself, with growing pauses."""

from __future__ import annotations

from typing import Any, cast

import pytest
from prefect.states import Failed

from flows.work import POLICY, is_transient
from tasks import errors
from tasks.errors import IndelibleError

TRANSIENT = {errors.StoreUnavailableError, errors.KeyServiceUnreachableError, errors.KeyTableBusyError}
TYPES = [t for t in vars(errors).values() if isinstance(t, type) and issubclass(t, IndelibleError)]


def is_tried_again(error: Exception) -> bool:
    return is_transient(cast("Any", None), cast("Any", None), Failed(data=error))


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_only_what_may_pass_by_itself_is_tried_again(kind: type[IndelibleError]) -> None:
    error = kind("a-reason", "a message") if issubclass(kind, errors.VerificationError) else kind("a message")

    assert is_tried_again(error) == (kind in TRANSIENT)


@pytest.mark.parametrize("error", [ValueError("defect"), MemoryError(), OSError(5, "disk")], ids=repr)
def test_a_defect_is_final_at_once(error: Exception) -> None:
    assert not is_tried_again(error)


def test_pauses_double_and_are_stretched_at_random() -> None:
    assert POLICY["retry_delay_seconds"](POLICY["retries"]) == [2, 4, 8, 16]
    assert POLICY["retry_jitter_factor"] == 0.5
