"""What a dialect is: the attribute vocabulary of one emitting library, as a table."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """Where one emitting library puts each fact: tuples of attribute names, newest first.

    `calls` are the operations that are one request to a provider. Everything else (agents, chains, tools,
    workflows) describes calls that have spans of their own and is not metered.
    `cache_write_by_ttl` pairs a time-to-live with the name of its count.
    `input_includes_cache` says whether the emitter's input count already holds cache reads and writes.
    """

    name: str
    operation: tuple[str, ...]
    calls: frozenset[str]
    provider: tuple[str, ...]
    request_model: tuple[str, ...]
    response_model: tuple[str, ...]
    response_id: tuple[str, ...]
    service_tier: tuple[str, ...]
    time_to_first_token: tuple[str, ...]
    input_tokens: tuple[str, ...]
    cache_read_input_tokens: tuple[str, ...]
    cache_write_input_tokens: tuple[str, ...]
    output_tokens: tuple[str, ...]
    reasoning_output_tokens: tuple[str, ...]
    cache_write_by_ttl: tuple[tuple[str, str], ...] = ()
    audio_input_tokens: tuple[str, ...] = ()
    audio_cache_read_input_tokens: tuple[str, ...] = ()
    audio_output_tokens: tuple[str, ...] = ()
    image_input_tokens: tuple[str, ...] = ()
    image_cache_read_input_tokens: tuple[str, ...] = ()
    image_output_tokens: tuple[str, ...] = ()
    input_includes_cache: bool = True
