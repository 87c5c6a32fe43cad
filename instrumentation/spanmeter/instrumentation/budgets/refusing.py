"""What an application is told of a call that does not fit."""

from decimal import Decimal

from spanmeter.instrumentation.budgets.amounts import exact
from spanmeter.instrumentation.budgets.policy import Matched
from spanmeter.instrumentation.budgets.wallets import Wallet
from spanmeter.instrumentation.errors import ApprovalRequired, BudgetExceeded


def refusal(wallet: Wallet, matched: Matched, needed: int, most: int | None) -> BudgetExceeded:
    """The error. `most` is what one request may use, where that is what it exceeds."""
    rule = matched.rule
    waits = rule.action == "approve" and most is None
    return (ApprovalRequired if waits else BudgetExceeded)(
        rule.name,
        matched.whose,
        unit=rule.unit,
        limit=_amount(wallet.limit if most is None else most),
        spent=_amount(wallet.spent) if most is None else None,
        needed=exact(needed),
        resets_at=wallet.resets_at if most is None else None,
    )


def _amount(amount: int | None) -> Decimal | None:
    return None if amount is None else exact(amount)
