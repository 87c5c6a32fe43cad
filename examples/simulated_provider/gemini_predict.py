"""Google's wire: embeddings, pictures, and videos that are made later.

Source: ai.google.dev/api/embeddings, and the model reference of Vertex AI (text embeddings, Imagen,
Veo), as far as Google's Python SDK uses them.
"""

import base64

from simulated_provider.answers import prompt_of, tokens
from simulated_provider.exchange import JSON, Call, Endpoint, Exchange, listed, new_id, section
from simulated_provider.gemini_wire import PREFIXES, PRICES, WIRE, billed, usage_of
from simulated_provider.prices import Tokens

_VECTOR = [0.6, 0.8]
_PICTURE = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()


def embed(call: Call) -> Exchange:
    """POST …:embedContent, one content; its usage is like that of `generateContent`."""
    size = len(tokens(prompt_of(call.body.get("content"))))
    return _embedded(call, size, {"embedding": {"values": _VECTOR}})


def embed_all(call: Call) -> Exchange:
    """POST …:batchEmbedContents, many contents."""
    requests = listed(call.body, "requests")
    size = sum(len(tokens(prompt_of(each.get("content")))) for each in requests)
    return _embedded(call, size, {"embeddings": [{"values": _VECTOR} for _ in requests]})


def _embedded(call: Call, size: int, body: JSON) -> Exchange:
    price = call.price(PRICES)
    details = [{"modality": "TEXT", "tokenCount": size}]
    usage = usage_of(call, {"promptTokenCount": size, "promptTokensDetails": details})
    counted = {} if call.reply.without_usage else {"usageMetadata": usage}
    # Embeddings have no id on the wire; the record needs one.
    return Exchange(price, new_id("", 22), usage, billed(usage), body | counted)


def predict(call: Call) -> Exchange:
    """POST …:predict: text embeddings of Vertex AI, with statistics; pictures of Imagen."""
    price = call.price(PRICES)
    instances = listed(call.body, "instances")
    if "embedding" not in price.response_model:
        asked = section(call.body, "parameters").get("sampleCount", 1)
        pictures = [{"mimeType": "image/png", "bytesBase64Encoded": _PICTURE}] * asked
        return Exchange(price, new_id("", 22), {}, Tokens(), {"predictions": pictures})
    texts = [prompt_of(each.get("content")) for each in instances]
    statistics = [{"truncated": False, "token_count": len(tokens(text))} for text in texts]
    characters = sum(len("".join(text.split())) for text in texts)
    body: JSON = {
        "predictions": [
            {"embeddings": {"values": _VECTOR, "statistics": each}} for each in statistics
        ],
        "metadata": {"billableCharacterCount": characters},
    }
    usage: JSON = {"statistics": statistics, "billableCharacterCount": characters}
    size = sum(each["token_count"] for each in statistics)
    return Exchange(price, new_id("", 22), usage, Tokens(input=size), body)


def begin_video(call: Call) -> Exchange:
    """POST …:predictLongRunning: the name of an operation, to be asked for later."""
    price = call.price(PRICES)
    operation = new_id("", 12)
    name = f"models/{price.response_model}/operations/{operation}"
    return Exchange(price, operation, {}, Tokens(), {"name": name})


ENDPOINTS = tuple(
    Endpoint(f"{prefix}/models/{{deployment}}:{method}", api, WIRE, answer)
    for prefix in PREFIXES
    for method, api, answer in (
        ("embedContent", "gemini.embed_content", embed),
        ("batchEmbedContents", "gemini.embed_content", embed_all),
        ("predict", "gemini.predict", predict),
        ("predictLongRunning", "gemini.predict_long_running", begin_video),
    )
)
