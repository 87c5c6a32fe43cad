"""What runs at night: each job says whose work it is, in one way or another, but for one."""

# pyright: reportMissingTypeStubs=false, reportAttributeAccessIssue=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

import cohere
from anthropic import AsyncAnthropic
from google import genai
from groq import Groq
from mistralai.client import Mistral
from mistralai.client.models import UserMessage
from together import Together

from spanmeter.instrumentation import usage
from unit.instrumentation.lint.helpdesk.answering import Answering
from unit.instrumentation.lint.helpdesk.clients import bedrock
from unit.instrumentation.lint.helpdesk.tenancy import internal, scope_of, working_for


def nightly(accounts: list[str], texts: list[str]) -> None:
    service = Answering()
    for account in accounts:
        with usage(tenant_id=account, feature="nightly"):
            for text in texts:
                service.answer(text)
                service.classify(text)
    tidy(service, texts)


def tidy(service: Answering, texts: list[str]) -> list[str]:
    """Whose texts these are nobody says, on the one way that leads from here."""
    return [service.rewrite(text) for text in texts]


def stream(account: str, question: str) -> Iterator[str]:
    """A generator runs when its items are asked for: after the scope has been left."""
    with usage(tenant_id=account):
        return Answering().words(question)


@usage(tenant_id="internal")
def digest(text: str) -> str | None:
    completion = Groq().chat.completions.create(
        model="llama-3.3-70b", messages=[{"role": "user", "content": text}]
    )
    return completion.choices[0].message.content


async def outline(account: str, text: str) -> str:
    async with scope_of(account):
        client = genai.Client(api_key="any")
        answer = await client.aio.models.generate_content(model="gemini-2.5-flash", contents=text)
        return str(answer.text)


def translate(account: str, texts: list[str]) -> None:
    ask = partial(Mistral().chat.complete, model="mistral-small-latest")
    with working_for(account):
        for text in texts:
            ask(messages=[UserMessage(content=text)])


def rank(accounts: list[str], texts: list[str]) -> None:
    client = cohere.ClientV2()
    for account in accounts:
        with ExitStack() as stack:
            stack.enter_context(usage(tenant_id=account))
            client.rerank(model="rerank-v3.5", query=account, documents=texts)


async def draft(account: str, text: str) -> str:
    async with usage(tenant_id=account), AsyncAnthropic() as client:
        messages = client.messages
        async with messages.stream(
            model="claude-haiku-4-5",
            max_tokens=99,
            messages=[{"role": "user", "content": text}],
        ) as stream:
            return await stream.get_final_text()


@internal
def probe() -> None:
    bedrock.converse(
        modelId="amazon.nova-micro-v1:0",
        messages=[{"role": "user", "content": [{"text": "How?"}]}],
    )


def illustrate(account: str, prompts: list[str]) -> None:
    def draw(prompt: str) -> None:
        Together().images.generate(model="black-forest-labs/FLUX.1-schnell", prompt=prompt)

    with usage(tenant_id=account), ThreadPoolExecutor() as pool:
        for prompt in prompts:
            pool.submit(draw, prompt)
        pool.submit(lambda: digest_of(prompts[0]))


def digest_of(prompt: str) -> None:
    Together().chat.completions.create(
        model="meta-llama/Llama-3.3-70B-Instruct-Turbo",
        messages=[{"role": "user", "content": prompt}],
    )


if __name__ == "__main__":
    nightly(["acme"], ["How?"])
    probe()
