"""What a request tells of usage that is no text: images, seconds of video, characters to be spoken, searches."""

from collections.abc import Mapping
from typing import Any, Final, cast

from spanmeter.instrumentation.endpoint import Endpoint, items, mapping
from spanmeter.metering import attributes as names

Units = Mapping[str, float]

COUNTS: Final = (
    ("n",),
    ("parameters", "sampleCount"),
    ("imageGenerationConfig", "numberOfImages"),
    ("samples",),
)
"""Where requests say how many images or videos they want, over all APIs; else it is one."""

SECONDS: Final = (
    ("seconds",),
    ("parameters", "durationSeconds"),
    ("textToVideoParams", "durationSeconds"),
)
"""Where they say how long a video is to be."""

USUAL_SECONDS: Final = 8
"""Of a video whose request does not say: what Veo makes, and more than Sora and Nova Reel do."""

IMAGE_TOKENS: Final[Mapping[str, int]] = {"low": 408, "medium": 1584, "standard": 1584}
"""Output of an image by its quality, at the largest of the usual sizes.

Source: developers.openai.com/api/docs/guides/image-generation, "Cost and latency"."""

MOST_IMAGE_TOKENS: Final = 6240
"""Of `high`, and where it is not said. Other providers' images have fewer (Gemini's up to 2,520)."""

TOKENS_OF_CHARACTER: Final = 2
"""Of speech: some 15 characters are spoken in a second, which are 20 tokens of sound or a few more."""

DOCUMENTS_OF_SEARCH: Final = 100
"""That one rerank search is for. Source: docs.cohere.com/docs/rerank-pricing."""


def foreseen_units(endpoint: Endpoint, body: Mapping[str, Any]) -> Units:
    """Amounts by unit, named as records will name them."""
    prefix = names.USAGE_QUANTITY_PREFIX
    units: dict[str, float] = {
        name.removeprefix(prefix): float(amount)
        for name, amount in endpoint.asked(body).items()
        if name.startswith(prefix)
    }
    operation = endpoint.operation
    if operation == names.IMAGE_GENERATION:
        units |= _with_kind(
            "images", _asked(body, COUNTS, 1), body.get("size"), body.get("quality")
        )
    elif operation == names.VIDEO_GENERATION:
        seconds = _asked(body, COUNTS, 1) * _asked(body, SECONDS, USUAL_SECONDS)
        units |= _with_kind("video_seconds", seconds, body.get("size"))
    elif operation == names.RERANK:
        units["rerank_searches"] = -(-len(items(body.get("documents"))) // DOCUMENTS_OF_SEARCH)
    elif operation == names.OCR:
        units["input_document_pages"] = len(items(body.get("pages"))) or 1
    elif searches := sum(map(_searches, items(body.get("tools")))):
        units["web_searches"] = searches
    return units


def foreseen_output(endpoint: Endpoint, body: Mapping[str, Any], units: Units) -> int | None:
    """Tokens of an image or of speech; None for anything else."""
    if endpoint.operation == names.IMAGE_GENERATION:
        return int(units["images"]) * IMAGE_TOKENS.get(str(body.get("quality")), MOST_IMAGE_TOKENS)
    if endpoint.operation == names.SPEECH:
        return int(TOKENS_OF_CHARACTER * units.get("input_characters", 0))
    return None


def _with_kind(unit: str, amount: float, *kind: object) -> Units:
    """The amount, and what of it is of a kind where the request tells that: `images.1024x1024.low`."""
    if not all(isinstance(each, str) and each for each in kind):
        return {unit: amount}
    return {unit: amount, ".".join((unit, *cast("tuple[str, ...]", kind))): amount}


def _asked(body: Mapping[str, Any], places: tuple[tuple[str, ...], ...], otherwise: float) -> float:
    for *outer, last in places:
        found = (mapping(body.get(outer[0])) if outer else body).get(last)
        try:
            amount = float(found) if isinstance(found, int | float | str) else 0.0
        except ValueError:
            continue
        if 0 < amount < float("inf"):
            return amount
    return otherwise


def _searches(tool: object) -> int:
    """How often a tool may search; once, where that is not bounded."""
    described = mapping(tool)
    if not str(described.get("type")).startswith("web_search"):
        return 0
    most = described.get("max_uses")
    return most if type(most) is int and most > 0 else 1
