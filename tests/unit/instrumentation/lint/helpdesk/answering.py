"""A service that holds its client, as services do."""

from collections.abc import Iterator

from openai import OpenAI


class Answering:
    def __init__(self, client: OpenAI | None = None) -> None:
        self._client = client or OpenAI()

    @property
    def _completions(self) -> OpenAI:
        return self._client

    def answer(self, question: str) -> str:
        return self._ask(question)

    def _ask(self, question: str) -> str:
        completion = self._client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": question}]
        )
        return completion.choices[0].message.content or ""

    def classify(self, question: str) -> bool:
        return self._completions.moderations.create(input=question).results[0].flagged

    def rewrite(self, text: str) -> str:
        response = self._client.responses.create(model="gpt-5-mini", input=text)  # UNCOVERED
        return response.output_text

    def words(self, question: str) -> Iterator[str]:
        stream = self._client.chat.completions.create(  # UNCOVERED
            model="gpt-4o-mini", messages=[{"role": "user", "content": question}], stream=True
        )
        for chunk in stream:
            yield chunk.choices[0].delta.content or ""
