"""What counts as a call, and what as cover: each snippet marks the calls that nothing covers."""

from __future__ import annotations

from pathlib import Path

import pytest

from unit.instrumentation.lint.projects import PREAMBLE, found_in, marked_in, write

SNIPPETS = {
    "a call at the top level": """
        client.chat.completions.create(**create)  # !
    """,
    "within usage": """
        with usage(tenant_id="acme"):
            client.chat.completions.create(**create)
        client.chat.completions.create(**create)  # !
    """,
    "refine names no tenant": """
        from spanmeter.instrumentation import refine
        with refine(feature="chat"):
            client.chat.completions.create(**create)  # !
    """,
    "by another name": """
        import spanmeter.instrumentation as meter
        from spanmeter.instrumentation.context import usage as metered
        with meter.usage(tenant_id="acme"):
            client.chat.completions.create(**create)
        with open("x") as file, metered(tenant_id=file.read()):
            client.chat.completions.create(**create)
    """,
    "what only looks like usage": """
        from psutil import usage as used
        with used(tenant_id="acme"):
            client.chat.completions.create(**create)  # !
    """,
    "the call is the context manager": """
        with usage(tenant_id="acme"), client.chat.completions.stream(**create) as stream:
            stream.get_final_completion()
        with client.chat.completions.stream(**create) as stream, usage(tenant_id="acme"):  # !
            stream.get_final_completion()
    """,
    "what costs nothing is no call": """
        client.models.list()
        client.files.create(file=b"", purpose="batch")
        client.with_options(timeout=3).models.retrieve("gpt-4o-mini")
    """,
    "ways round": """
        client.with_options(timeout=3).chat.completions.with_raw_response.create(**create)  # !
        client.beta.chat.completions.parse(**create)  # !
        completions = client.chat.completions
        completions.create(**create)  # !
        ask = completions.create
        ask(**create)  # !
        clients = {"a": client, "b": OpenAI(base_url="http://b")}
        clients["b"].responses.create(model="x")  # !
        for each in clients.values():
            each.responses.create(model="x")  # !
        (client if ask else None).embeddings.create(model="x", input="y")  # !
    """,
    "decorated": """
        @usage(tenant_id="acme")
        def answer():
            client.chat.completions.create(**create)
        @usage(tenant_id="acme")
        async def answer_later():
            def inner():
                client.chat.completions.create(**create)
            inner()
        answer()
    """,
    "decorated by hand": """
        def answer():
            client.chat.completions.create(**create)
        usage(tenant_id="acme")(answer)()
    """,
    "every way must be covered": """
        def answer():
            client.chat.completions.create(**create)  # !
        with usage(tenant_id="acme"):
            answer()
        answer()
    """,
    "judged by its callers": """
        def outer():
            with usage(tenant_id="acme"):
                inner()
        def inner():
            innermost()
        def innermost():
            client.chat.completions.create(**create)
    """,
    "nothing calls it": """
        def answer():
            client.chat.completions.create(**create)  # !
    """,
    "calls itself, and nothing else does": """
        def answer(n):
            client.chat.completions.create(**create)  # !
            other(n - 1)
        def other(n):
            answer(n - 1)
    """,
    "recursion within a scope": """
        def answer(n):
            client.chat.completions.create(**create)
            answer(n - 1)
        with usage(tenant_id="acme"):
            answer(3)
    """,
    "a client that a function is given": """
        def answer(llm):
            llm.messages.create(max_tokens=3)  # !
        from anthropic import Anthropic
        answer(Anthropic())
    """,
    "an annotated client": """
        from typing import Annotated, Optional
        def one(llm: "OpenAI | None"):
            llm.embeddings.create()  # !
        def two(llm: Optional[OpenAI] = None, *, other: Annotated[OpenAI, "x"]):
            other.embeddings.create()  # !
    """,
    "a client of no known kind, called as only clients are": """
        def answer(thing):
            thing.chat.completions.create(model="x")  # !
            thing.messages.create(body="a text message", to="+49")
            thing.messages.create(model="claude-haiku-4-5")  # !
    """,
    "a class of the project": """
        class Messages:
            def create(self, **kwargs): ...
        class Other:
            messages = Messages()
        Other().messages.create(model="x")
    """,
    "a subclass of a client": """
        class Ours(OpenAI):
            def ask(self):
                return self.responses.create()  # !
        Ours().ask()
        Ours().embeddings.create()  # !
    """,
    "wrapped by another library": """
        import instructor
        ours = instructor.from_openai(OpenAI())
        ours.chat.completions.create(**create)  # !
    """,
    "handed to a thread, a task, an executor": """
        import asyncio, threading
        def work():
            client.chat.completions.create(**create)
        async def main(executor):
            with usage(tenant_id="acme"):
                threading.Thread(target=work).start()
                executor.submit(work)
                await asyncio.to_thread(client.chat.completions.create, **create)
                asyncio.create_task(later())
            await asyncio.to_thread(client.chat.completions.create, **create)  # !
        async def later():
            client.chat.completions.create(**create)
    """,
    "a thread of its own class": """
        import threading
        class Worker(threading.Thread):
            def run(self):
                client.chat.completions.create(**create)
        with usage(tenant_id="acme"):
            Worker().start()
    """,
    "partial": """
        from functools import partial
        ask = partial(client.chat.completions.create, model="x")
        def call(): ask()  # !
        def work(n): client.embeddings.create()
        bound = partial(work, 3)
        with usage(tenant_id="acme"):
            bound()
    """,
    "entered by a stack": """
        from contextlib import ExitStack, AsyncExitStack
        with ExitStack() as stack:
            client.embeddings.create()  # !
            stack.enter_context(usage(tenant_id="acme"))
            client.embeddings.create()
        async def main():
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(usage(tenant_id="acme"))
                client.embeddings.create()
    """,
    "entered by hand": """
        def main():
            scope = usage(tenant_id="acme")
            scope.__enter__()
            try:
                client.embeddings.create()
            finally:
                scope.__exit__(None, None, None)
    """,
    "a context manager of one's own": """
        from contextlib import contextmanager
        @contextmanager
        def working_for(tenant):
            with usage(tenant_id=tenant):
                yield
        @contextmanager
        def timed():
            yield
        class Session:
            def __enter__(self):
                self._scope = usage(tenant_id="acme")
                self._scope.__enter__()
            def __exit__(self, *_): ...
        with working_for("acme"):
            client.embeddings.create()
        with timed():
            client.embeddings.create()  # !
        with Session():
            client.embeddings.create()
    """,
    "a decorator of one's own": """
        from functools import wraps
        def metered(tenant):
            def decorate(function):
                @wraps(function)
                def wrapper(*args):
                    with usage(tenant_id=tenant):
                        return function(*args)
                return wrapper
            return decorate
        def logged(function):
            def wrapper(*args):
                return function(*args)
            return wrapper
        @metered("acme")
        def covered(): client.embeddings.create()
        @logged
        def uncovered(): client.embeddings.create()  # !
        @logged
        def called_well(): client.embeddings.create()
        covered(); uncovered()
        with usage(tenant_id="acme"):
            called_well()
    """,
    "a function that runs another for a tenant": """
        def run_for(tenant, function):
            with usage(tenant_id=tenant):
                return function()
        def retry(function):
            return function()
        def one(): client.embeddings.create()
        def two(): client.embeddings.create()  # !
        def three(): client.embeddings.create()
        run_for("acme", one)
        retry(two)
        with usage(tenant_id="acme"):
            retry(three)
    """,
    "a generator that outlives its scope": """
        def words():
            yield client.embeddings.create()  # !
        def stream():
            with usage(tenant_id="acme"):
                return words()
        def pieces():
            yield client.embeddings.create()
        def text():
            with usage(tenant_id="acme"):
                return "".join(pieces())
        @usage(tenant_id="acme")
        def metered():
            yield client.embeddings.create()
    """,
    "through a base class and a protocol": """
        from abc import ABC, abstractmethod
        from typing import Protocol
        class Model(ABC):
            @abstractmethod
            def ask(self): ...
            def twice(self):
                self.ask()
                self.ask()
        class Hosted(Model):
            def ask(self): client.embeddings.create()
        class Speaks(Protocol):
            def speak(self): ...
        class Voice:
            def speak(self): client.audio.speech.create()
        def use(model: Model, speaks: Speaks):
            with usage(tenant_id="acme"):
                model.twice()
                speaks.speak()
    """,
    "a method called on an object of no known class": """
        class Service:
            def ask(self): client.embeddings.create()
            def leave(self): client.embeddings.create()  # !
        def use(registry):
            with usage(tenant_id="acme"):
                registry["service"].ask()
            registry["service"].leave()
    """,
    "properties and objects that are called": """
        class Service:
            @property
            def answer(self): return client.embeddings.create()
            def __call__(self): client.embeddings.create()  # !
        with usage(tenant_id="acme"):
            Service().answer
        Service()()
    """,
    "tasks of a queue": """
        from celery import shared_task
        @shared_task
        def work(): client.embeddings.create()
        @shared_task
        def beat(): client.embeddings.create()  # !
        def view():
            with usage(tenant_id="acme"):
                work.delay()
                work.s().apply_async()
    """,
    "match, try, loops and comprehensions": """
        async def main(x):
            with usage(tenant_id="acme"):
                try:
                    match x:
                        case 1: client.embeddings.create()
                except* ValueError:
                    [await y for y in [client.embeddings.create()]]
                finally:
                    while (z := client.embeddings.create()): ...
    """,
}


@pytest.mark.parametrize("snippet", SNIPPETS.values(), ids=SNIPPETS)
def test_what_is_marked_is_found_and_nothing_else(tmp_path: Path, snippet: str) -> None:
    write(tmp_path, {"preamble.py": PREAMBLE, "snippet.py": snippet})
    snippet_file = tmp_path / "snippet.py"
    snippet_file.write_text(PREAMBLE + snippet_file.read_text())
    assert found_in(tmp_path, "uncovered") == marked_in(tmp_path)
