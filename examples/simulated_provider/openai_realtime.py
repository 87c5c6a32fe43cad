"""OpenAI's wire: the realtime API over a websocket, and its beta.

Source: the client and server events of the realtime API at developers.openai.com/api. A script's
reply answers each `response.create`: cut off after some deltas (`abort_after`), failed after some
(`error_after`), or with a usage block of its own.
"""

import json
from decimal import Decimal

from starlette.websockets import WebSocket, WebSocketDisconnect

from simulated_provider.answers import compose, prompt_of, tokens
from simulated_provider.exchange import JSON, new_id, section
from simulated_provider.prices import ListPrice, Tokens
from simulated_provider.reply import Reply, Script
from simulated_provider.served import Record, Served
from simulated_provider.sse import to_json

PRICE = ListPrice("gpt-realtime", input=Decimal(4), output=Decimal(16))

# Sound costs ten times as many tokens as text here; some of the context was heard before.
SOUND_TOKENS, CACHED_TOKENS = 10, 3


class Realtime:
    """One conversation over one websocket."""

    def __init__(self, socket: WebSocket, script: Script, record: Record) -> None:
        self._socket = socket
        self._script = script
        self._record = record
        self._heard = 0
        self._session: JSON = {
            "id": new_id("sess_", 24),
            "object": "realtime.session",
            "type": "realtime",
            "model": socket.query_params.get("model", PRICE.response_model),
            "audio": {"input": {"transcription": None}},
        }

    async def talk(self) -> None:
        """Answers every event of the client's until it leaves, or the script cuts it off."""
        await self._send({"type": "session.created", "session": self._session})
        while True:
            event: JSON = json.loads(await self._socket.receive_text())
            if event["type"] == "session.update":
                self._session |= event["session"]
                await self._send({"type": "session.updated", "session": self._session})
            elif event["type"] == "conversation.item.create":
                self._heard += len(tokens(prompt_of(event["item"])))
                await self._send({"type": "conversation.item.added", "item": event["item"]})
            elif event["type"] == "input_audio_buffer.commit":
                await self._transcribe()
            elif event["type"] == "response.create":
                await self._respond(self._script.next())

    async def _transcribe(self) -> None:
        heard = section(section(self._session, "audio"), "input").get("transcription")
        model = (heard or self._session["input_audio_transcription"])["model"]
        usage: JSON = {"type": "duration", "seconds": 2.5}
        if model != "whisper-1":
            usage = {
                "type": "tokens",
                "input_tokens": 25,
                "input_token_details": {"audio_tokens": 25, "text_tokens": 0},
                "output_tokens": 6,
                "total_tokens": 31,
            }
        self._book(f"item_{len(self._record.served)}", model, usage, completed=True)
        await self._send(
            {
                "type": "conversation.item.input_audio_transcription.completed",
                "item_id": f"item_{len(self._record.served)}",
                "content_index": 0,
                "transcript": "How did we do?",
                "usage": usage,
            }
        )

    async def _respond(self, reply: Reply) -> None:
        answer = compose("realtime", text=reply.text, chunks=reply.chunks)
        response: JSON = {"id": new_id("resp_", 24), "object": "realtime.response", "output": []}
        usage = dict(reply.usage or _usage(self._heard, answer.output_tokens))
        begun = {"status": "in_progress", "usage": None}
        await self._send({"type": "response.created", "response": response | begun})
        stop = reply.abort_after if reply.error_after is None else reply.error_after
        for piece in answer.deltas[:stop]:
            kind = "response.output_audio_transcript.delta"
            await self._send({"type": kind, "response_id": response["id"], "delta": piece})
        completed = stop is None
        self._book(response["id"], self._session["model"], usage, completed=completed)
        if reply.abort_after is not None:
            await self._socket.close(1011)
            raise WebSocketDisconnect(1011)
        done: JSON = {"status": "completed", "usage": usage}
        if not completed:
            error = {"type": "server_error", "code": None}
            done = {"status": "failed", "status_details": {"type": "failed", "error": error}}
            done["usage"] = usage
        await self._send({"type": "response.done", "response": response | done})

    async def _send(self, event: JSON) -> None:
        await self._socket.send_text(to_json({"event_id": new_id("event_", 21), **event}))

    def _book(self, response_id: str, model: str, usage: JSON, *, completed: bool) -> None:
        counted = Tokens(
            input=usage.get("input_tokens", 0),
            cache_read=section(usage, "input_token_details").get("cached_tokens", 0),
            output=usage.get("output_tokens", 0),
        )
        self._record.add_served(
            Served(
                api="openai.realtime",
                model=model,
                response_model=model,
                response_id=response_id,
                status=200,
                streamed=True,
                completed=completed,
                usage=usage,
                tokens=counted,
                cost=PRICE.cost(counted),
            )
        )


def _usage(heard: int, said: int) -> JSON:
    sound, spoken = heard * SOUND_TOKENS, said * SOUND_TOKENS
    return {
        "input_tokens": heard + sound,
        "input_token_details": {
            "text_tokens": heard,
            "audio_tokens": sound,
            "image_tokens": 0,
            "cached_tokens": 2 * CACHED_TOKENS,
            "cached_tokens_details": {
                "text_tokens": CACHED_TOKENS,
                "audio_tokens": CACHED_TOKENS,
                "image_tokens": 0,
            },
        },
        "output_tokens": said + spoken,
        "output_token_details": {"text_tokens": said, "audio_tokens": spoken},
        "total_tokens": heard + sound + said + spoken,
    }
