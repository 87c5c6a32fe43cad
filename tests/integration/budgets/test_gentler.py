"""What becomes of a call that does not fit, where it is not simply stopped."""

# Tests look into what a process holds.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from urllib.parse import unquote

import pytest

from booking import query
from integration.budgets.conftest import Laid, MakeGuard
from integration.budgets.test_every_library import (
    bedrock_client,
    groq_client,
    ollama_client,
    together_client,
)
from simulated_provider import Reply, SimulatedProvider
from spanmeter.instrumentation import ApprovalRequired, BudgetExceeded, usage
from spanmeter.instrumentation.budgets.amounts import SCALE
from spanmeter.instrumentation.budgets.guard import Guard
from spanmeter.metering import attributes as names
from spanmeter.metering.budgets.windows import Window
from spanmeter.storage.budget_approvals import approvals, approve
from spanmeter.storage.budgets import increase
from spanmeter.storage.connection import connect
from unit.instrumentation.clients import (
    bedrock_calls,
    cohere_calls,
    google_calls,
    mistral_calls,
    test_groq,
    test_ollama,
    test_together,
)
from unit.instrumentation.forms import CHAT, COMPLETIONS, MESSAGES, RESPONSES, Api, client_of
from unit.instrumentation.recording import Recorder

pytestmark = pytest.mark.timeout(120)

Call = Callable[[SimulatedProvider], object]


def ask(provider: SimulatedProvider, api: Api = CHAT, **arguments: object) -> None:
    with usage(tenant_id="acme"), client_of(api, provider) as client:
        api.resource(client).create(**{**api.arguments, **arguments})


def _of(opened: Any, form: Callable[[Any], object]) -> Call:
    def call(provider: SimulatedProvider) -> None:
        with usage(tenant_id="acme"), opened(provider) as client:
            form(client)

    return call


def _answered(guard: Guard) -> None:
    """Waits for the exchange after this one."""
    before = guard.begun
    with guard.answered:
        assert guard.answered.wait_for(lambda: guard.begun > before, 60)


def _invoke_claude(client: Any) -> None:
    asked = {**json.loads(bedrock_calls.CLAUDE_BODY), "max_tokens": 90_000}
    bedrock_calls.invoke(client, body=json.dumps(asked).encode())


def _invoke_llama(client: Any) -> None:
    bedrock_calls.invoke(client, modelId=bedrock_calls.LLAMA, body=bedrock_calls.LLAMA_BODY)


CLAMPED: Mapping[str, tuple[Call, tuple[str, ...]]] = {
    "openai": (ask, ("max_completion_tokens",)),
    "openai, old name": (partial(ask, max_tokens=90_000), ("max_tokens",)),
    "completions": (partial(ask, api=COMPLETIONS), ("max_tokens",)),
    "responses": (partial(ask, api=RESPONSES), ("max_output_tokens",)),
    "anthropic": (partial(ask, api=MESSAGES, max_tokens=4000), ("max_tokens",)),
    "groq": (_of(groq_client, test_groq.WHOLE["plain"]), ("max_tokens",)),
    "together": (_of(together_client, test_together.FORMS["plain"]), ("max_tokens",)),
    "ollama": (_of(ollama_client, test_ollama.FORMS["chat"][1]), ("options", "num_predict")),
    "mistral": (
        _of(mistral_calls.client_of, mistral_calls.WHOLE["chat"].call),
        ("max_tokens",),
    ),
    "cohere": (_of(cohere_calls.client_of, cohere_calls.WHOLE["chat"].call), ("max_tokens",)),
    "google": (
        _of(google_calls.client_of, google_calls.FORMS["plain"]),
        ("generationConfig", "maxOutputTokens"),
    ),
    "bedrock": (_of(bedrock_client, bedrock_calls.converse), ("inferenceConfig", "maxTokens")),
    "bedrock, invoked": (_of(bedrock_client, _invoke_claude), ("max_tokens",)),
    "bedrock, another maker's": (_of(bedrock_client, _invoke_llama), ("max_gen_len",)),
}


@pytest.mark.parametrize(("call", "place"), CLAMPED.values(), ids=CLAMPED)
def test_output_is_bounded_to_what_there_is_in_each_apis_own_words(
    lay_down: Laid,
    make_guard: MakeGuard,
    provider: SimulatedProvider,
    recorder: Recorder,
    call: Call,
    place: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if place == ("max_tokens",):
        # Not OpenAI: they know the older name alone.
        monkeypatch.delenv("SPANMETER_PROVIDER_HOSTS")
    lay_down("acme", "1500", metric="output_tokens", action="clamp", output_tokens=50_000)
    make_guard()
    call(provider)
    (request,) = provider.requests
    sent = json.loads(request.body)
    for name in place:
        sent = sent[name]
    assert sent == 1500


def test_by_cost_too_and_not_below_the_least(
    lay_down: Laid, make_guard: MakeGuard, provider: SimulatedProvider, recorder: Recorder
) -> None:
    lay_down("acme", "0.001", action="clamp", least_output=100)
    make_guard()
    ask(provider)
    (request,) = provider.requests
    # gpt-5-mini costs 2 dollars a million tokens of output, 0.25 of input: 500 less some for the prompt.
    assert 450 <= json.loads(request.body)["max_completion_tokens"] < 500
    lay_down("acme", "0.0001", action="clamp", least_output=100)
    with pytest.raises(BudgetExceeded):
        ask(provider, model="gpt-5")


def test_a_cheaper_model_is_asked_instead(
    lay_down: Laid, make_guard: MakeGuard, provider: SimulatedProvider, recorder: Recorder
) -> None:
    # 4096 tokens of output are 0.041 of gpt-5 and 0.0082 of gpt-5-mini.
    lay_down("acme", "0.02", action="downgrade", models={"gpt-5": "gpt-5-mini"})
    make_guard()
    ask(provider, model="gpt-5")
    assert json.loads(provider.requests[0].body)["model"] == "gpt-5-mini"
    assert recorder.only()[names.REQUEST_MODEL] == "gpt-5-mini"
    with pytest.raises(BudgetExceeded):
        ask(provider, model="gpt-5.1")


def test_another_model_is_given_the_same_document(
    lay_down: Laid, make_guard: MakeGuard, provider: SimulatedProvider, recorder: Recorder
) -> None:
    opus = "us.anthropic.claude-opus-4-5-20251101-v1:0"
    lay_down(
        *("acme", "1500"),
        metric="output_tokens",
        scope={"tenant.id": "acme", names.REQUEST_MODEL: opus},
        action="downgrade",
        models={opus: bedrock_calls.HAIKU},
    )
    lay_down("all", "900", metric="output_tokens", action="clamp")
    make_guard()
    asked = json.dumps({**json.loads(bedrock_calls.CLAUDE_BODY), "max_tokens": 90_000})
    with usage(tenant_id="acme"), bedrock_client(provider) as client:
        bedrock_calls.invoke(client, modelId=opus, body=asked)
    (request,) = provider.requests
    assert bedrock_calls.HAIKU in unquote(request.path)
    assert json.loads(request.body) == {**json.loads(asked), "max_tokens": 900}


def test_a_call_is_held_until_there_is_room(
    lay_down: Laid,
    make_guard: MakeGuard,
    provider: SimulatedProvider,
    recorder: Recorder,
    plain_dsn: str,
) -> None:
    lay_down("acme", "1", metric="requests", action="throttle", max_wait=timedelta(minutes=2))
    guard = make_guard()
    ask(provider)
    asking = threading.Thread(target=ask, args=(provider,))
    asking.start()
    (wallet,) = guard._wallets.values()
    before = guard.begun
    with guard.answered:
        # It waits, and goes on waiting when it has been told that nothing is left.
        assert guard.answered.wait_for(lambda: wallet.wanted and guard.begun > before + 3, 60)
    assert len(provider.requests) == 1
    with connect(plain_dsn) as connection:
        ((now,),) = query(plain_dsn, "SELECT now() + interval '1 hour'")
        increase(connection, "acme", None, Decimal(1), now, "test")
    asking.join(60)
    assert not asking.is_alive()
    assert len(provider.requests) == 2


def test_a_call_that_is_held_too_long_is_refused(
    lay_down: Laid, make_guard: MakeGuard, provider: SimulatedProvider, recorder: Recorder
) -> None:
    lay_down(
        "acme", "0", metric="requests", action="throttle", max_wait=timedelta(milliseconds=300)
    )
    make_guard()
    with pytest.raises(BudgetExceeded):
        ask(provider)
    assert provider.requests == []


def test_a_call_waits_for_somebody_to_approve_it(
    lay_down: Laid,
    make_guard: MakeGuard,
    provider: SimulatedProvider,
    recorder: Recorder,
    plain_dsn: str,
) -> None:
    lay_down("acme", "0", metric="requests", action="approve")
    guard = make_guard()
    with pytest.raises(ApprovalRequired, match="spanmeter budget approvals"):
        ask(provider)
    guard.shutdown()
    with connect(plain_dsn) as connection:
        (asked,) = approvals(connection)
        assert (asked.budget, asked.counter, asked.amount, asked.asked_by) == (
            *("acme", "{}"),
            *(Decimal(1), "tests"),
        )
        ((later,),) = query(plain_dsn, "SELECT now() + interval '1 hour'")
        approve(connection, asked.approval_id, None, later, "ann")
    make_guard()
    ask(provider)
    assert len(provider.requests) == 1


def test_a_budget_that_only_notifies_lets_all_go_and_marks_them(
    lay_down: Laid, make_guard: MakeGuard, provider: SimulatedProvider, recorder: Recorder
) -> None:
    lay_down("acme", "2", metric="requests", action="notify")
    guard = make_guard()
    for _ in range(5):
        ask(provider)
        _answered(guard)
    marked = [names.USAGE_BUDGETS_OVER in each for each in recorder.metered]
    assert not marked[0]
    assert marked[-1]
    assert recorder.metered[-1][names.USAGE_BUDGETS_OVER] == "acme"


def test_the_strictest_of_nested_budgets_wins_and_the_others_lose_nothing(
    lay_down: Laid, make_guard: MakeGuard, provider: SimulatedProvider, recorder: Recorder
) -> None:
    lay_down("wide", "100", metric="requests")
    lay_down("narrow", "1", metric="requests", scope={"tenant.id": "acme", "user.id": "*"})
    lay_down("of-another", "0", metric="requests", scope={"tenant.id": "globex"})
    guard = make_guard()

    def ask_as(user: str) -> None:
        with usage(tenant_id="acme", user_id=user), client_of(CHAT, provider) as client:
            client.chat.completions.create(**CHAT.arguments)

    for user in ("u1", "u2"):
        ask_as(user)
        with pytest.raises(BudgetExceeded) as caught:
            ask_as(user)
        assert (caught.value.budget, caught.value.scope) == (
            *("narrow", f"tenant.id acme, user.id {user}"),
        )
    assert len(provider.requests) == 2
    wide = next(w for w in guard._wallets.values() if w.matched.rule.name == "wide")
    assert wide._lease is not None
    assert (wide._lease.used, wide._lease.reserved) == (2 * SCALE, 0)


def test_one_request_has_a_cap_of_its_own(
    lay_down: Laid, make_guard: MakeGuard, provider: SimulatedProvider, recorder: Recorder
) -> None:
    lay_down("acme", "100", per_request=Decimal("0.01"), window=Window.named("lifetime"))
    make_guard()
    ask(provider, max_completion_tokens=1000)
    with pytest.raises(BudgetExceeded, match=r"limit 0\.01"):
        ask(provider, max_completion_tokens=100_000)
    assert len(provider.requests) == 1


def test_a_model_without_a_rate_is_refused_or_taken_at_another(
    lay_down: Laid, make_guard: MakeGuard, provider: SimulatedProvider, recorder: Recorder
) -> None:
    lay_down("acme", "0.5", unpriced=None)
    make_guard()
    with pytest.raises(BudgetExceeded, match="refuses house-model, which has no rate"):
        ask(provider, model="house-model")
    # At 75 dollars a million, 4096 tokens are 0.31: one fits, and not two at a time.
    lay_down("acme", "0.5")
    make_guard()
    with pytest.raises(BudgetExceeded):
        ask(provider, model="house-model", max_completion_tokens=8192)
    assert provider.requests == []


def test_a_retry_is_checked_too(
    lay_down: Laid, make_guard: MakeGuard, provider: SimulatedProvider, recorder: Recorder
) -> None:
    lay_down("acme", "2", metric="requests")
    make_guard()
    at_once = {"retry-after-ms": "1"}
    provider.enqueue(*(Reply(status=500, headers=at_once) for _ in range(4)))
    with (
        usage(tenant_id="acme"),
        client_of(CHAT, provider, max_retries=5) as client,
        pytest.raises(BudgetExceeded),
    ):
        client.chat.completions.create(**CHAT.arguments)
    assert len(provider.requests) == 2
    assert len(recorder.metered) == 2
