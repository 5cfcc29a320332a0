"""What is encrypted is padded to steps of 64 bytes, and comes back as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.redact.padding import pad, unpad


@given(st.binary(max_size=300).flatmap(lambda data: st.sampled_from([data, data + b"\0", data + b"\x80\0"])))
def test_every_text_comes_back(data: bytes) -> None:
    padded = pad(data)
    assert unpad(padded) == data
    assert len(padded) % 64 == 0
    assert len(data) < len(padded) <= len(data) + 64


@pytest.mark.parametrize(("length", "padded"), [(0, 64), (63, 64), (64, 128), (127, 128)])
def test_lengths_fall_into_steps(length: int, padded: int) -> None:
    assert len(pad(b"a" * length)) == padded


@pytest.mark.parametrize("other", [b"", b"\0" * 64, b"a" * 64], ids=["empty", "zeros", "no end"])
def test_what_was_not_padded_is_refused(other: bytes) -> None:
    with pytest.raises(ValueError, match="padded"):
        unpad(other)
