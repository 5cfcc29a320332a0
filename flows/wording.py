"""What people write to be sealed, for ever and for every reader: it must hold no identifier of anybody."""

from __future__ import annotations

from tasks.errors import UsageError


def check_wording(**texts: str | None) -> None:
    """Refuse free text in which an identifier or a secret stands.

    Args:
        texts: what each text is, for the message -> the text; None: there is none.

    Raises:
        UsageError: the message says of what kind it is, never the value.
    """
    from tasks.redact.wording import identifiers_in

    for name, text in texts.items():
        if text and (kinds := identifiers_in(text)):
            raise UsageError(
                f"the {name} holds what looks like personal data or a secret ({', '.join(kinds)}), "
                "and would be sealed for ever; nothing was sealed",
                next_step="Name the number of a case in its place, under which the rest is written down elsewhere.",
            )
