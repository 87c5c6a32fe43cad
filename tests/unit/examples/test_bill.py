"""The provider's bill: its prices are the public ones, its caches save money, its sums add up."""

import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import genai_prices
import httpx
import pytest
from openai import OpenAI

import simulated_provider
from simulated_provider import Reply, SimulatedProvider, Tokens
from simulated_provider.prices import ANTHROPIC, OPENAI, UNPUBLISHED, ListPrice

PUBLISHED = {
    **{("openai", name): price for name, price in OPENAI.items() if name != UNPUBLISHED},
    **{("anthropic", name): price for name, price in ANTHROPIC.items()},
}


def samples(price: ListPrice) -> list[Tokens]:
    """Usage of every kind that the vendor of this model charges for."""
    kinds = [Tokens(input=12_345)]
    if price.output:
        kinds.append(Tokens(input=12_345, cache_read=3_072, output=6_789, reasoning=100))
    if price.cache_write:
        kinds.append(Tokens(input=9_000, cache_read=3_000, cache_write=2_000, output=500))
    if price.cache_write_1h:
        kinds.append(Tokens(9_000, 3_000, cache_write=2_000, cache_write_1h=1_000, output=500))
    return kinds


def public_price(vendor: str, model: str, tokens: Tokens) -> Decimal:
    """The cost by the public price table that our ledger uses."""
    usage = genai_prices.Usage(
        input_tokens=tokens.input,
        cache_read_tokens=tokens.cache_read,
        cache_write_tokens=tokens.cache_write + tokens.cache_write_1h,
        cache_write_1h_tokens=tokens.cache_write_1h,
        output_tokens=tokens.output,
    )
    return genai_prices.calc_price(usage, model, provider_id=vendor).total_price


@pytest.mark.parametrize(("vendor", "model"), PUBLISHED)
def test_list_prices_are_the_public_ones(vendor: str, model: str) -> None:
    price = PUBLISHED[vendor, model]
    for tokens in samples(price):
        assert price.cost(tokens) == public_price(vendor, price.response_model, tokens)
        assert price.cost(tokens) == public_price(vendor, model, tokens)


def test_one_model_has_no_public_price() -> None:
    with pytest.raises(LookupError):
        public_price("openai", OPENAI[UNPUBLISHED].response_model, Tokens(input=1))


@pytest.mark.parametrize(("model", "writes"), [("gpt-4o-mini", False), ("gpt-6-luna", True)])
def test_a_repeated_long_prompt_is_cached(
    provider: SimulatedProvider, openai_client: OpenAI, model: str, *, writes: bool
) -> None:
    prompt = "word " * 1500
    for question in (prompt, prompt, prompt + "and then?"):
        openai_client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": question}]
        )
    first, second, third = provider.served
    assert [each.tokens.cache_read for each in (first, second, third)] == [0, 1408, 1408]
    assert [each.tokens.cache_write for each in (first, second)] == [1408 if writes else 0, 0]
    assert ("cache_write_tokens" in first.usage["prompt_tokens_details"]) == writes
    assert second.cost < first.cost


def test_a_prompt_below_the_minimum_is_not_cached(
    provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    for _ in range(2):
        openai_client.responses.create(model="gpt-4o-mini", input="word " * 1000)
    assert [each.tokens.cache_read for each in provider.served] == [0, 0]


def test_the_bill_is_the_sum_of_what_was_served(
    provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    provider.enqueue(Reply(status=429))
    for model in ("gpt-4o-mini", "o4-mini", "gpt-4o-mini"):
        openai_client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "How did we do?"}]
        )
    bill, served = provider.bill, provider.served
    assert (bill["requests"], bill["errors"]) == (4, 1)
    assert Decimal(bill["cost"]) == sum(each.cost for each in served)
    assert bill["input_tokens"] == sum(each.tokens.input for each in served)
    assert bill["output_tokens"] == sum(each.tokens.output for each in served)
    assert bill["reasoning_output_tokens"] > 0
    assert set(bill["models"]) == {"gpt-4o-mini-2024-07-18", "o4-mini-2025-04-16"}
    assert bill["models"]["gpt-4o-mini-2024-07-18"]["requests"] == 2
    assert httpx.get(f"{provider.url}/_served").json() == bill
    assert httpx.get(f"{provider.url}/_requests").json() == {"requests": 4}


def test_it_runs_as_a_process_until_sigterm() -> None:
    root = Path(simulated_provider.__file__).parent.parent
    with subprocess.Popen(
        [sys.executable, "-m", "simulated_provider", "--port", "0"],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(root)},
        text=True,
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        with OpenAI(base_url=f"{address}/v1", api_key="any") as client:
            client.embeddings.create(model="text-embedding-3-small", input="one two three")
        assert httpx.get(f"{address}/_served").json()["cost"] == "0.00000006"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == -signal.SIGTERM
