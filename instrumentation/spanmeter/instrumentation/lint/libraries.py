"""The client libraries whose calls cost money, as they look in source code.

A *path* is what is written between a client and the parentheses: `chat.completions.create`. Parts
that change how a call is made but not what it costs (`with_raw_response`, `beta`, `aio`) are left
out of it.
"""

import re
from collections.abc import Iterable
from functools import cache
from typing import Final, NamedTuple

Path = tuple[str, ...]

NEUTRAL: Final = frozenset(
    {"aio", "beta", "copy", "v1", "v2", "with_options", "with_raw_response"}
    | {"with_streaming_response"}
)


class Library(NamedTuple):
    """A client library: the modules it is imported by, its client classes, and the paths billed.

    `functions` are those of the module itself. `sessions` are calls that give an object with paths
    of its own. A library whose clients `client_of` a service makes has no client classes.
    """

    name: str
    modules: tuple[str, ...]
    clients: re.Pattern[str]
    billed: frozenset[Path]
    functions: frozenset[str] = frozenset()
    sessions: tuple[tuple[Path, Path], ...] = ()

    def bills(self, path: Path) -> bool:
        """Whether calling this path costs money."""
        return path in self.billed

    def leads_on(self, path: Path) -> bool:
        """Whether something billed lies beyond this path."""
        return any(billed[: len(path)] == path for billed in self.billed if billed != path)


def paths(text: str) -> frozenset[Path]:
    """`chat.completions.create|parse` and so on, with alternatives for the last part."""
    found: set[Path] = set()
    for word in text.split():
        *parents, last = word.split(".")
        found |= {(*parents, method) for method in last.split("|")}
    return frozenset(found)


def _with_async(names: Iterable[str]) -> frozenset[str]:
    return frozenset(form for name in names for form in (name, f"a{name}"))


_OPENAI_LIKE: Final = """
    chat.completions.create|parse|stream completions.create embeddings.create
    images.generate|edit|create_variation audio.speech.create
    audio.transcriptions.create audio.translations.create
"""

_LITELLM: Final = _with_async(
    {
        "completion",
        "text_completion",
        "embedding",
        "responses",
        "image_generation",
        "image_edit",
        "transcription",
        "speech",
        "moderation",
        "rerank",
        "batch_completion",
    }
)
_OLLAMA: Final = frozenset({"chat", "generate", "embed", "embeddings"})

LIBRARIES: Final = (
    Library(
        "openai",
        ("openai",),
        re.compile(r"(Async)?(Azure|Bedrock)?OpenAI|(Async)?Client"),
        paths(
            _OPENAI_LIKE
            + """
            responses.create|parse|stream|compact|connect moderations.create realtime.connect
            videos.create|create_and_poll|edit|extend|remix batches.create
            threads.create_and_run|create_and_run_poll|create_and_run_stream
            threads.runs.create|create_and_poll|create_and_stream|stream|submit_tool_outputs
            """
        ),
    ),
    Library(
        "anthropic",
        ("anthropic",),
        re.compile(r"(Async)?Anthropic\w*|(Async)?Client"),
        paths(
            "messages.create|stream|parse|tool_runner messages.batches.create completions.create"
        ),
    ),
    Library(
        "google-genai",
        ("google.genai",),
        re.compile(r"Client|AsyncClient"),
        paths(
            """
            models.generate_content|generate_content_stream|embed_content|generate_images
            models.edit_image|upscale_image|generate_videos|recontext_image|segment_image
            interactions.create live.connect live.music.connect batches.create|create_embeddings
            chat.send_message|send_message_stream
            """
        ),
        sessions=((("chats", "create"), ("chat",)),),
    ),
    Library(
        "mistralai",
        ("mistralai", "mistralai_azure", "mistralai_gcp"),
        re.compile(r"Mistral\w*"),
        paths(
            """
            chat.complete|complete_async|stream|stream_async
            chat.parse|parse_async|parse_stream|parse_stream_async
            agents.complete|complete_async|stream|stream_async
            fim.complete|complete_async|stream|stream_async
            embeddings.create|create_async ocr.process|process_async
            classifiers.moderate|moderate_async|moderate_chat|moderate_chat_async
            classifiers.classify|classify_async|classify_chat|classify_chat_async
            conversations.start|start_async|start_stream|start_stream_async|run_async
            conversations.append|append_async|append_stream|append_stream_async|run_stream_async
            conversations.restart|restart_async|restart_stream|restart_stream_async
            audio.transcriptions.complete|complete_async|stream|stream_async
            audio.speech.complete|complete_async batch.jobs.create|create_async
            """
        ),
    ),
    Library(
        "cohere",
        ("cohere",),
        re.compile(r"(Async)?(Bedrock|Sagemaker|Aws)?Client(V2)?"),
        paths("chat|chat_stream|generate|generate_stream|embed|rerank|classify|summarize|parse"),
    ),
    Library(
        "groq",
        ("groq",),
        re.compile(r"(Async)?(Groq|Client)"),
        paths(_OPENAI_LIKE + " batches.create responses.create"),
    ),
    Library(
        "together",
        ("together",),
        re.compile(r"(Async)?(Together|Client)"),
        paths(_OPENAI_LIKE + " rerank.create videos.create batches.create"),
    ),
    Library(
        "ollama", ("ollama",), re.compile(r"(Async)?Client"), paths("|".join(_OLLAMA)), _OLLAMA
    ),
    Library(
        "litellm",
        ("litellm",),
        re.compile(r"Router"),
        frozenset((name,) for name in _LITELLM),
        _LITELLM,
    ),
)

BEDROCK: Final = Library(
    "bedrock",
    (),
    re.compile(r"(?!)"),
    paths(
        """
        converse|converse_stream|invoke_model|invoke_model_with_response_stream
        invoke_model_with_bidirectional_stream|start_async_invoke
        """
    ),
)
BEDROCK_SERVICE: Final = "bedrock-runtime"

MENTION: Final = re.compile(
    rb"^[ \t]*(?:from|import)[ \t][^\n#]*\b"
    rb"(?:openai|anthropic|genai|mistralai|cohere|groq|together|ollama|litellm)"
    rb"|bedrock-runtime|\.generate_content|UsageMiddleware|Usage\w*Interceptor"
    rb"|\b(?:completions|messages|responses|embeddings)\.(?:create|parse|stream)\b",
    re.MULTILINE,
)
"""What a file must say for there to be something to look at."""


def made_by(dotted: str) -> Library | None:
    """The library of which this, `openai.AsyncOpenAI`, is a client class."""
    found = _of(dotted)
    return found if found and found.clients.fullmatch(dotted.rpartition(".")[2]) else None


def function_of(dotted: str) -> tuple[Library, Path] | None:
    """The library and path of a call on the module itself: `litellm.completion`."""
    library = _of(dotted)
    if library is None:
        return None
    parts = dotted.split(".")
    if parts[-1] in library.functions:
        return library, (parts[-1],)
    path = tuple(part for part in parts[1:] if part not in NEUTRAL)
    return (library, path) if len(path) > 1 and library.bills(path) else None


def telling(parts: Iterable[str]) -> tuple[Library, Path] | None:
    """The library of a path that tells it whatever object it is called on: two parts or more."""
    path = tuple(part for part in parts if part not in NEUTRAL)
    for library in LIBRARIES:
        for length in (3, 2):
            if len(path) > length and library.bills(path[-length:]):
                return library, path[-length:]
    return None


@cache
def _of(dotted: str) -> Library | None:
    for library in LIBRARIES:
        if any(dotted.startswith(f"{module}.") for module in library.modules):
            return library
    return None
