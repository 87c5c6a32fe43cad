"""Where calls meet their budgets, if there are any: nearly nothing to do where there are none."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from spanmeter.instrumentation.budgets.admission import Admission
from spanmeter.instrumentation.budgets.shared import shared
from spanmeter.instrumentation.errors import SpanmeterError
from spanmeter.instrumentation.guard import guarded, report
from spanmeter.instrumentation.identity import identity_in

if TYPE_CHECKING:
    from spanmeter.instrumentation.instrumentor import Request


@guarded
def admitted(identity: Mapping[str, str], request: "Request") -> Admission | None:
    """What decides about a call, decided where that can be at once; none where it falls under no budget, or can no
    longer be refused. Raises `BudgetExceeded`."""
    guard = shared()
    if guard is None:
        return None
    policy = guard.policy
    endpoint = request.endpoint
    if policy is None and guard.failed_at is not None and not guard.settings.fails_closed:
        # There may be no budgets at all where records go; its thread goes on asking.
        return None
    matched = None
    if policy is not None:
        matched = policy.of(identity, request.provider or None, request.model, endpoint.operation)
        if not matched:
            return None
    if request.is_sent or endpoint.fetches or endpoint.results is not None:
        # What was made earlier costs nothing any more.
        return None
    admission = Admission(guard, identity, request, matched)
    admission.decide()
    return admission


@guarded
def refuse_session(request: "Request") -> None:
    """Raises `BudgetExceeded` where there is nothing left for a call of a session, of which no more is known. It may
    block for as long as a call may wait for the collector: sessions are opened rarely."""
    admission = admitted(identity_in(), request)
    if admission is not None:
        try:
            admission.wait()
        finally:
            admission.give_up()


async def refuse_session_async(request: "Request") -> None:
    """The same, while others run."""
    admission = admitted(identity_in(), request)
    if admission is None:
        return
    try:
        await admission.wait_async()
    except SpanmeterError:
        raise
    except Exception as exc:  # noqa: BLE001 - as of `guarded`, which awaits nothing
        report("refuse_session_async", exc)
    finally:
        admission.give_up()
