"""What to expect of a series of hours by its own past, and how far off it is: seasons of a week, growth, robust spread.

Medians throughout: an incident of the past neither raises what is expected nor widens what passes for usual.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Hours = NDArray[np.float64]

WEEK: Final = 168

SPARSE: Final = 0.25
"""Where less than this part of the hours has anything, hours of the week tell little: the largest burst does."""

_LEAST_SPREAD: Final = 0.05
"""Of the logarithm: nobody is alarmed over five percent, however steady it was."""

_NEAR: Final = 6
"""Hours of the week that are alike."""

_LATEST: Final = 3
"""Hours that tell whether it is still so."""

_TELLING: Final = 0.5
"""Of what so many hours usually have: with less to be expected of them, they tell nothing."""

_GROWTH: Final = 0.3
"""The most, as a logarithm, that a week is expected to exceed the one before."""

_SLACK: Final = 0.2
"""Of a usual window, added to both sides of a ratio: else an hour of nothing makes anything infinite."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A window against its past: how many times what was expected, and how many robust standard deviations above it."""

    actual: float
    expected: float
    factor: float
    deviations: float
    elevated: int
    """For how many hours, up to the last of the window, it has been so; 0 where the latest hours are as usual."""
    lasting: bool
    """Whether it is so still, for all that can be told: at night it takes longer to see that all is as usual."""


def judge(past: Hours, window: Hours, last: float) -> Judgement | None:
    """Judge the hours of a window that follows on `past`, of whose last hour a part of `last` is over.

    None where there are not two weeks of past.
    """
    weeks = len(past) // WEEK
    if weeks < 2 or not past.any():
        return None
    matrix = past[len(past) - weeks * WEEK :].reshape(weeks, WEEK)
    parts = np.ones(len(window))
    parts[-1] = last
    actual = float(window.sum())
    if np.count_nonzero(matrix) < SPARSE * matrix.size:
        return _against_bursts(matrix, window, actual)
    levels = np.array([_level(week) for week in matrix])
    profile = np.median(matrix / levels[:, None], axis=0)
    hours = _next_level(levels) * profile[np.arange(len(window)) % WEEK] * parts
    expected = float(hours.sum())
    usual = float(np.median(levels)) * len(window) / WEEK
    spread, middle = _spread(matrix, levels, profile, len(window), _SLACK * usual)
    off = np.log((actual + _SLACK * usual) / (expected + _SLACK * usual))
    floor = _SLACK * usual / len(window)
    return Judgement(
        actual,
        expected,
        _factor(actual, expected),
        float((off - middle) / spread),
        _elevated(window, hours + floor, _factor(actual, expected)),
        _lasting(window, hours, _factor(actual, expected), _LATEST * usual / len(window)),
    )


def _level(week: Hours) -> float:
    """What a week holds, less what its busiest twentieth of hours exceeds the others by; above 0."""
    return max(float(np.minimum(week, np.quantile(week, 0.95)).sum()), 1e-12)


def _next_level(levels: Hours) -> float:
    """The level of the week after these, as it has grown: Theil and Sen's slope of the logarithms."""
    if len(levels) < 3:
        return float(np.median(levels))
    logarithms = np.log(levels)
    fit = stats.theilslopes(logarithms, np.arange(len(levels)))
    slope = float(np.clip(fit.slope, -_GROWTH, _GROWTH))
    middle = (len(levels) - 1) / 2
    return float(np.exp(np.median(logarithms) + slope * (len(levels) - middle)))


def _spread(
    matrix: Hours, levels: Hours, profile: Hours, hours: int, slack: float
) -> tuple[float, float]:
    """How much windows of so many hours varied around what was to be expected of them: spread, and middle.

    Of all, or of those about that hour of the week where they vary more: of few calls, say, on a quiet night.
    """
    sums = _sums(matrix.ravel(), hours)
    usual = _sums((levels[:, None] * profile).ravel(), hours)
    off = np.log((sums + slack) / (usual + slack))
    begins = np.arange(len(off)) % WEEK
    near = off[(begins <= _NEAR) | (begins >= WEEK - _NEAR)]
    spreads = [float(stats.median_abs_deviation(each, scale="normal")) for each in (off, near)]
    return max(*spreads, _LEAST_SPREAD), float(np.median(off))


def _against_bursts(matrix: Hours, window: Hours, actual: float) -> Judgement:
    largest = float(_sums(matrix.ravel(), len(window)).max())
    hours: Hours = np.full(len(window), largest / len(window))
    factor = _factor(actual, largest)
    # A factor of e is ten deviations: there is no spread to count in.
    deviations = 10 * float(np.log(max(factor, 1e-9)))
    return Judgement(
        actual,
        largest,
        factor,
        deviations,
        _elevated(window, hours, factor),
        _lasting(window, hours, factor, 0.0),
    )


def _sums(hours: Hours, width: int) -> Hours:
    """Of each so many hours that follow each other."""
    running = np.concatenate([[0.0], np.cumsum(hours)])
    sums: Hours = np.maximum(running[width:] - running[:-width], 0.0)
    return sums


def _elevated(window: Hours, expected: Hours, factor: float) -> int:
    """For how many hours up to the last it has been high, one quiet hour bridged."""
    if window[-_LATEST:].sum() < expected[-_LATEST:].sum() * (1 + max(factor - 1, 0) / 2):
        return 0
    high = window > expected * (1 + max(factor - 1, 0) / 4)
    last = len(window)
    quiet = 0
    for hour in range(len(window) - 1, -1, -1):
        if high[hour]:
            last, quiet = hour, 0
        else:
            quiet += 1
            if quiet > 1:
                break
    return len(window) - last


def _lasting(window: Hours, expected: Hours, factor: float, enough: float) -> bool:
    """Whether it is nearer to the factor than to what was expected, over as many of the last hours as say `enough`."""
    first = len(window) - min(_LATEST, len(window))
    while first > 0 and expected[first:].sum() < _TELLING * enough:
        first -= 1
    return bool(window[first:].sum() >= expected[first:].sum() * (1 + max(factor - 1, 0) / 2))


def _factor(actual: float, expected: float) -> float:
    return actual / expected if expected > 0 else float(actual > 0) * 1e6
