"""What Bedrock charges beside its models' tokens: guardrails by the text unit, and what it makes
later, by the second.

Source: docs.aws.amazon.com/bedrock/latest/APIReference (GuardrailUsage, InvokeGuardrailChecks,
StartAsyncInvoke). A model's call tells of its guardrail's units only where a trace is asked for.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from spanmeter.instrumentation.endpoint import (
    Attributes,
    Endpoint,
    Json,
    Reading,
    amounts,
    counts,
    items,
    mapping,
)
from spanmeter.metering import attributes as names

_UPPER: Final = re.compile("([A-Z])")
_SECONDS: Final = re.compile(r"(\d+)s")


def guardrail_units(trace: Json) -> Mapping[str, int]:
    """The units that the trace of a model's call tells of: those of each assessment of what came in
    and of what went out."""
    units: dict[str, int] = {}
    for usage in _usages(trace.get("guardrail")):
        for unit, count in _units(usage):
            units[unit] = units.get(unit, 0) + count
    return units


def _usages(assessed: Any, depth: int = 0) -> Iterator[Json]:
    """The usage blocks of assessments, which are kept by guardrail, in lists and not."""
    found = mapping(assessed)
    if "invocationMetrics" in found:
        yield mapping(mapping(found["invocationMetrics"]).get("usage"))
    elif depth < 4:
        for each in (*found.values(), *items(assessed)):
            yield from _usages(each, depth + 1)


def _units(usage: Json) -> Iterator[tuple[str, int]]:
    """Units by policy: `topicPolicyUnits`, or `{"contentFilter": {"textUnits": 1}}`. Those that are
    free are not charged."""
    for name, count in usage.items():
        for unit, many in _units(mapping(count)):
            yield unit.replace("guardrail", f"guardrail_{_snake(name)}"), many
        if type(count) is int and count and name.endswith("Units") and "Free" not in name:
            yield f"guardrail_{_snake(name)}", count


def _snake(name: str) -> str:
    return _UPPER.sub(r"_\1", name).lower()


def read_guarded(body: Json) -> Reading:
    """What guardrails were applied to, without a model."""
    return Reading(usage=mapping(body.get("usage")))


def guarded_attributes(usage: Json) -> Attributes:
    """`GuardrailUsage`, or the usage of checks."""
    return counts({names.quantity(unit): count for unit, count in _units(usage)})


def read_started(body: Json) -> Reading:
    """What is made after the answer, which names it."""
    return Reading(response_id=body.get("invocationArn"), deferred=True)


def seconds_asked(body: Json) -> Attributes:
    """The seconds of video that are to be made, in the words of Nova Reel or of Luma's Ray."""
    asked = mapping(body.get("modelInput"))
    seconds = mapping(asked.get("videoGenerationConfig")).get("durationSeconds")
    said = _SECONDS.fullmatch(str(asked.get("duration")))
    return amounts({names.quantity("video_seconds"): int(said[1]) if said else seconds})


GUARDED: Final = Endpoint(names.MODERATION, read_guarded, read_guarded, guarded_attributes)
STARTED: Final = Endpoint(
    names.VIDEO_GENERATION, read_started, read_started, counts, asked=seconds_asked
)
