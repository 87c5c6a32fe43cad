"""Which of several ways to do the same are worth their cost: those that none other beats in both score and cost."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Literal, NamedTuple, TypeVar

Better = Literal["higher", "lower"]
"""Which scores are the better ones: of relevance the higher, of toxicity the lower."""

T = TypeVar("T")


class Standing(NamedTuple):
    """What something scores, and what it costs each time."""

    score: Decimal
    cost: Decimal


def dominating(
    candidates: Sequence[T],
    standing: Callable[[T], Standing | None],
    better: Better = "higher",
) -> list[T | None]:
    """For each candidate the one that dominates it: as good in both and better in one. `None`: it is on the frontier.

    Of several the one with the best score, then the least cost. What has no standing is on no side of it.
    """
    sign = 1 if better == "higher" else -1
    ranked = [(each, at) for each in candidates if (at := standing(each)) is not None]
    ranked.sort(key=lambda pair: (-sign * pair[1].score, pair[1].cost))

    def beats(one: Standing, other: Standing) -> bool:
        return (
            sign * one.score >= sign * other.score
            and one.cost <= other.cost
            and (one.score, one.cost) != (other.score, other.cost)
        )

    def dominator(candidate: T) -> T | None:
        own = standing(candidate)
        if own is None:
            return None
        return next((each for each, at in ranked if beats(at, own)), None)

    return [dominator(each) for each in candidates]
