"""JSON is read and written the same with pydantic's parser and without."""

from __future__ import annotations

import json

import pytest

from spanmeter.instrumentation import json_codec
from spanmeter.instrumentation.json_codec import decoded, encoded

DOCUMENTS = [
    b'{"usage": {"input_tokens": 12, "cost": 0.000123}}',
    b'{"twice": 1, "twice": 2}',
    b'{"not": NaN, "a": Infinity, "number": -Infinity}',
    b'{"huge": 123456789012345678901234567890123456789012345678901234567890}',
    b'{"lone surrogate": "\\ud800"}',
    b'{"pair": "\\ud83d\\ude00", "bytes": "\xf0\x9f\x98\x80"}',
    b"[" * 500 + b"]" * 500,
    b'  {"a": [true, false, null, -0, 1e5, 1e400]}\n',
]

NONE = [
    b"",
    b"[DONE]",
    b"<html>",
    b'{"a": 1} {"b": 2}',
    b'{"a": 1',
    b'{"a": "\xff"}',
    b'\xff{"a": 1}',
    b'{"a": "x\ny"}',
    b'{"a": ' + b"9" * 5000 + b"}",
]


@pytest.fixture(params=["with pydantic", "without"], autouse=True)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "without":
        monkeypatch.setattr(json_codec, "from_json", None)
        monkeypatch.setattr(json_codec, "to_json", None)
    else:
        assert vars(json_codec)["from_json"] is not None


@pytest.mark.parametrize("document", DOCUMENTS, ids=range(len(DOCUMENTS)))
def test_what_python_reads_is_read(document: bytes) -> None:
    # As text, since no NaN equals another.
    assert repr(decoded(document)) == repr(json.loads(document))


@pytest.mark.parametrize("document", NONE, ids=range(len(NONE)))
def test_what_is_no_json_is_refused(document: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decoded(document)


@pytest.mark.parametrize(
    "value",
    [
        {"tokens": 10**40, "cost": 0.1, "small": 1e-7, "large": 1e16},
        {"é": "ü \u2028", "nested": [{"a": None}, True]},
        {"lone": "\ud800"},
    ],
)
def test_what_is_written_is_read_again(value: object) -> None:
    written = encoded(value)
    assert json.loads(written) == value
    assert ": " not in written


def test_what_json_knows_no_form_of_is_its_text() -> None:
    assert json.loads(encoded({"a": json})) == {"a": str(json)}
