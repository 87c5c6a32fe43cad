"""What a client asks for, as one JSON object: from JSON, from a form with files, from a query."""

import json
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any, cast
from urllib.parse import parse_qsl

from simulated_provider.exchange import JSON, RefusedError


def asked(content_type: str, query: str, body: bytes) -> JSON:
    """The members of a request. Raises RefusedError."""
    if content_type.startswith("multipart/form-data"):
        return _form(content_type, body)
    if not body:
        return {name: _plain(value) for name, value in parse_qsl(query)}
    try:
        parsed = json.loads(body)
    except ValueError as error:
        raise RefusedError(400, "We could not parse the JSON body of your request.") from error
    if not isinstance(parsed, dict):
        raise RefusedError(400, "The body must be a JSON object.")
    return cast(JSON, parsed)


def _form(content_type: str, body: bytes) -> JSON:
    """A form's fields; files as bytes, fields named `image[]` as the list `image` (RFC 7578)."""
    head = f"content-type: {content_type}\r\n\r\n".encode()
    members: JSON = {}
    for part in BytesParser(policy=HTTP).parsebytes(head + body).iter_parts():
        name = str(part.get_param("name", header="content-disposition"))
        content = cast(bytes, part.get_payload(decode=True))
        value: Any = content if part.get_filename() else _plain(content.decode())
        if name.endswith("[]"):
            members.setdefault(name.removesuffix("[]"), []).append(value)
        else:
            members[name] = value
    return members


def _plain(value: str) -> str | bool:
    return {"true": True, "false": False}.get(value, value)
