"""The rhythm of payments over the week and over the day."""

import numpy as np
from numpy.typing import NDArray

# Volume by weekday, Monday first, around a mean of 1: shopping peaks on Friday and Saturday, Sunday rests.
WEEK = np.array([0.92, 0.93, 0.96, 1.00, 1.16, 1.22, 0.81])
# Relative volume by hour: quiet nights, a lunch bump, a higher evening.
_NIGHT, _MORNING = [0.7, 0.4, 0.3, 0.3, 0.4, 0.8], [1.6, 3.0, 4.6, 5.2, 5.6, 6.4]
_AFTERNOON, _EVENING = [7.4, 6.8, 6.0, 5.9, 6.4, 7.6], [8.2, 7.4, 5.6, 4.2, 2.8, 1.4]
DAY = np.array(_NIGHT + _MORNING + _AFTERNOON + _EVENING)

_CUMULATIVE = np.concatenate([[0.0], np.cumsum(DAY / DAY.sum())])
_HOURS = np.arange(25, dtype=np.float64)


def weekday_factor(weekday: int) -> float:
    """Volume of the weekday (0 is Monday) over that of an average day."""
    return float(WEEK[weekday] / WEEK.mean())


def times_of_day(random: np.random.Generator, count: int) -> NDArray[np.int64]:
    """`count` times since midnight in microseconds, whole milliseconds, distributed as `DAY`."""
    hours = np.interp(random.random(count), _CUMULATIVE, _HOURS)
    return np.minimum((hours * 3_600_000).astype(np.int64), 86_399_999) * 1_000
