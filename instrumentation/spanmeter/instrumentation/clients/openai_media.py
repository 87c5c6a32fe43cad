"""OpenAI's images, audio and videos.

Usage blocks: developers.openai.com/api/reference (images, audio, videos). Newer models count
tokens; older ones are charged by the image, the second or the character, which the answer or the
request shows.
"""

from typing import Final

from spanmeter.instrumentation.clients.openai_completions import error_in
from spanmeter.instrumentation.clients.openai_providers import read_region
from spanmeter.instrumentation.clients.openai_responses import images
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


def read_images(body: Json) -> Reading:
    """Images, and the tokens that authoring them as SVG took, which another model counts."""
    usage = dict(mapping(body.get("usage")))
    if body.get("svg_usage"):
        usage["svg_usage"] = body["svg_usage"]
    count = len(items(body.get("data")))
    return Reading(
        usage=usage, error=error_in(body), quantities=images(count, body) if count else {}
    )


def read_image_event(event: Json) -> Reading:
    """An event of a streamed image. Partial images are in the tokens of the whole one."""
    if str(event.get("type")).endswith(".completed"):
        return Reading(usage=mapping(event.get("usage")), last=True, quantities=images(1, event))
    return Reading(error=error_in(event))


def image_attributes(usage: Json) -> Attributes:
    """`ImagesResponse.usage`. Output that is not split is the image's."""
    given = mapping(usage.get("input_tokens_details"))
    cached = mapping(given.get("cached_tokens_details"))
    made = mapping(usage.get("output_tokens_details"))
    vector = mapping(usage.get("svg_usage"))
    output = usage.get("output_tokens")
    return counts(
        {
            names.INPUT_TOKENS: usage.get("input_tokens"),
            names.CACHE_READ_INPUT_TOKENS: given.get("cached_tokens"),
            names.IMAGE_INPUT_TOKENS: given.get("image_tokens"),
            names.IMAGE_CACHE_READ_INPUT_TOKENS: cached.get("image_tokens"),
            names.OUTPUT_TOKENS: output,
            names.IMAGE_OUTPUT_TOKENS: made.get("image_tokens", output),
            names.quantity("svg_input_tokens"): vector.get("input_tokens"),
            names.quantity("svg_output_tokens"): vector.get("output_tokens"),
        }
    )


def read_transcript(body: Json) -> Reading:
    """A transcription or translation. The longer forms give the duration of the audio outright."""
    usage = mapping(body.get("usage"))
    seconds = body.get("duration")
    return Reading(
        usage=usage,
        error=error_in(body),
        last=body.get("type") == "transcript.text.done",
        quantities={"audio_seconds": float(seconds)} if seconds and not usage else {},
    )


def transcript_attributes(usage: Json) -> Attributes:
    """`Transcription.usage`, by tokens or by duration."""
    given = mapping(usage.get("input_token_details"))
    return {
        **counts(
            {
                names.INPUT_TOKENS: usage.get("input_tokens"),
                names.AUDIO_INPUT_TOKENS: given.get("audio_tokens"),
                names.OUTPUT_TOKENS: usage.get("output_tokens"),
            }
        ),
        **amounts({names.quantity("audio_seconds"): usage.get("seconds")}),
    }


def read_speech(body: Json) -> Reading:
    """An event of streamed speech, of which the last has the usage. Speech itself says nothing."""
    return Reading(
        usage=mapping(body.get("usage")),
        error=error_in(body),
        last=body.get("type") == "speech.audio.done",
    )


def speech_attributes(usage: Json) -> Attributes:
    """The usage of speech: text in, sound out."""
    return counts(
        {
            names.INPUT_TOKENS: usage.get("input_tokens"),
            names.OUTPUT_TOKENS: usage.get("output_tokens"),
        }
    )


def characters(body: Json) -> Attributes:
    """The characters to be spoken, which the older models are charged by."""
    text = body.get("input")
    return {names.quantity("input_characters"): len(text)} if isinstance(text, str) else {}


def read_video_job(body: Json) -> Reading:
    """A video, to be made: nothing is used before it is there."""
    return Reading(
        response_id=body.get("id"), model=body.get("model"), error=error_in(body), deferred=True
    )


def read_video(body: Json) -> Reading:
    """A video that is fetched, once it is there: its seconds, and those by size."""
    reading = read_video_job(body)
    if body.get("status") != "completed":
        return reading
    seconds = float(body.get("seconds") or 0)
    sized = {f"video_seconds.{body['size']}": seconds} if body.get("size") else {}
    return reading._replace(
        operation=names.VIDEO_GENERATION, quantities={"video_seconds": seconds, **sized}
    )


def _no_usage(usage: Json) -> Attributes:
    return {}


IMAGES: Final = Endpoint(
    names.IMAGE_GENERATION,
    read_images,
    read_image_event,
    image_attributes,
    (b".completed", b'"error"'),
    read_headers=read_region,
)
TRANSCRIPTS: Final = Endpoint(
    names.TRANSCRIPTION,
    read_transcript,
    read_transcript,
    transcript_attributes,
    (b"transcript.text.done", b'"error"'),
    read_headers=read_region,
)
SPEECH: Final = Endpoint(
    names.SPEECH,
    read_speech,
    read_speech,
    speech_attributes,
    (b"speech.audio.done", b'"error"'),
    read_headers=read_region,
    asked=characters,
)
VIDEOS: Final = Endpoint(names.VIDEO_GENERATION, read_video_job, read_video_job, _no_usage)
FETCHED_VIDEO: Final = VIDEOS._replace(
    operation=names.FETCH_RESPONSE, read=read_video, fetches=True
)

ENDPOINTS: Final[dict[str, Endpoint]] = {
    **{f"POST /images/{made}": IMAGES for made in ("generations", "edits", "variations")},
    "POST /audio/transcriptions": TRANSCRIPTS,
    "POST /audio/translations": TRANSCRIPTS,
    "POST /audio/speech": SPEECH,
    **{f"POST /videos{made}": VIDEOS for made in ("", "/edits", "/extensions", "/*/remix")},
    "GET /videos/*": FETCHED_VIDEO,
}
