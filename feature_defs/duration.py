"""Widths of time as people write them: `"15m"`, `"7d"`. Arithmetic on instants lives with its users."""

import re

MICROSECONDS = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
DAY = MICROSECONDS["d"]

_PATTERN = re.compile(r"(\d+)([smhd])")


def microseconds(text: str) -> int:
    """The width in microseconds.

    >>> microseconds("7d")
    604800000000

    Raises:
        ValueError: `text` is not a positive whole number followed by s, m, h or d.
    """
    match = _PATTERN.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise ValueError(f'{text!r} is not a duration: write a positive whole number and s, m, h or d, as in "7d"')
    return int(match[1]) * MICROSECONDS[match[2]]
