"""Prompt caching, as the two vendors do it; entries live as long as the provider."""

import hashlib
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

# Both vendors cache prompts from 1,024 tokens; OpenAI extends the match by 128 at a time.
MINIMUM = 1024
STEP = 128

TimeToLive = Literal["5m", "1h"]


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of an Anthropic prompt; `keep` asks the cache to keep all up to its end."""

    text: str
    tokens: int
    keep: TimeToLive | None = None


@dataclass(frozen=True, slots=True)
class CacheUse:
    """How many tokens of a prompt were read from the cache, or written to it."""

    read: int = 0
    write: int = 0
    write_1h: int = 0

    @property
    def total(self) -> int:
        """All tokens that touched the cache."""
        return self.read + self.write + self.write_1h


class PromptCache:
    """Prefixes of prompts that were seen before. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: set[bytes] = set()

    def implicit(self, model: str, prompt: Sequence[str]) -> CacheUse:
        """OpenAI's: reads the longest known prefix of `prompt`, and writes the rest unasked."""
        keys: dict[bytes, int] = {}
        digest = hashlib.sha256(model.encode())
        for end in range(STEP, len(prompt) + 1, STEP):
            digest.update("\0".join(prompt[end - STEP : end]).encode() + b"\0")
            if end >= MINIMUM:
                keys[digest.digest()] = end
        with self._lock:
            longest = max((end for key, end in keys.items() if key in self._known), default=0)
            self._known.update(keys)
        return CacheUse(longest, max(keys.values(), default=0) - longest)

    def explicit(self, model: str, blocks: Iterable[Block]) -> CacheUse:
        """Anthropic's: reads up to the last known breakpoint, and writes up to those after it."""
        keys = list(_breakpoints(model, blocks))
        with self._lock:
            known = [end for key, end, _ in keys if key in self._known]
            self._known.update(key for key, _, _ in keys)
        read = position = max(known, default=0)
        written: dict[TimeToLive, int] = {"5m": 0, "1h": 0}
        for _, end, keep in keys:
            if end > position:
                written[keep] += end - position
                position = end
        return CacheUse(read, written["5m"], written["1h"])


def _breakpoints(model: str, blocks: Iterable[Block]) -> Iterable[tuple[bytes, int, TimeToLive]]:
    """Of each kept prefix that is long enough: its key, its tokens, its time to live."""
    digest = hashlib.sha256(model.encode())
    end = 0
    for block in blocks:
        digest.update(block.text.encode() + b"\0")
        end += block.tokens
        if block.keep is not None and end >= MINIMUM:
            yield digest.digest(), end, block.keep
