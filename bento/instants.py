"""Instants on the wire: RFC 3339 text on one side, microseconds of UTC on the other."""

import datetime as dt
from typing import Annotated
from zoneinfo import ZoneInfo

from msgspec import Meta

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)

# What every reader of the lake can hold: pandas counts nanoseconds in 64 bits, from 1677 to 2262.
EARLIEST = dt.datetime(1678, 1, 1, tzinfo=dt.UTC)
LATEST = dt.datetime(2262, 1, 1, tzinfo=dt.UTC)

EXPECTED = "an instant with its offset, such as 2018-04-01T00:00:31Z"

Instant = Annotated[
    dt.datetime,
    Meta(
        description="RFC 3339; without an offset it is read in the stream's time zone.",
        examples=["2018-04-01T00:00:31Z"],
        extra_json_schema={"format": "date-time"},
    ),
]


def microseconds(value: dt.datetime, time_zone: str) -> int:
    """`value` in microseconds since 1970 UTC; without an offset it is read in `time_zone`.

    Raises:
        ValueError: the zone's clock shows that time twice or never, or it is outside of 1678 to 2261.
    """
    if value.tzinfo is None:
        zone = ZoneInfo(time_zone)
        early, late = (value.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
        if early.utcoffset() != late.utcoffset():
            raise ValueError(f"{value.isoformat()} is shown twice or never by the clocks of {time_zone}")
        value = early
    if not EARLIEST <= value < LATEST:
        raise ValueError(f"{value.isoformat()} is not between {EARLIEST:%Y-%m-%d} and {LATEST:%Y-%m-%d}")
    return (value - EPOCH) // MICROSECOND


def text(microseconds_utc: int) -> str:
    """The instant as RFC 3339 text in UTC, to the microsecond."""
    return (EPOCH + dt.timedelta(microseconds=microseconds_utc)).isoformat().replace("+00:00", "Z")
