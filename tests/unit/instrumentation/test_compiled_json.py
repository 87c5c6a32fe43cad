"""What is read and written of JSON in C is what Python reads and writes, or is left to it."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spanmeter.instrumentation import json_codec
from spanmeter.instrumentation.clients import anthropic_messages, openai_completions
from spanmeter.instrumentation.endpoint import READ_MEMBERS, Reading

_json = pytest.importorskip("spanmeter.instrumentation._json")

SOURCE = Path(json_codec.__file__).with_name("_json.c")
NAMES = ("id", "usage", "é")
KEYS = st.sampled_from(NAMES) | st.text(max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=6)
SPACES = st.sampled_from([None, 0, 2, "\t"])


def parsed(document: bytes) -> Any:
    """What Python reads; `...` where it is no JSON."""
    try:
        return json.loads(document.decode())
    except ValueError:
        return ...


@given(OBJECTS, SPACES, st.booleans())
def test_the_members_of_any_object_are_those_that_python_reads(
    value: dict[str, object],
    indent: int | str | None,
    escaped: bool,  # noqa: FBT001 (drawn)
) -> None:
    try:
        document = json.dumps(value, indent=indent, ensure_ascii=escaped).encode()
    except UnicodeEncodeError:
        return
    found = _json.members(document, NAMES)
    wanted = {name: member for name, member in parsed(document).items() if name in NAMES}
    assert found is None or repr(sorted(found.items())) == repr(sorted(wanted.items()))


@given(OBJECTS, st.data())
def test_a_document_that_is_damaged_is_read_as_python_reads_it(
    value: dict[str, object], data: st.DataObject
) -> None:
    document = bytearray(json.dumps(value, ensure_ascii=True).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(document) - 1))
        document[at] = data.draw(st.sampled_from(b'{}[]",:\\0-19.ent \x00\xff'))
    whole: Any = parsed(bytes(document))
    found = _json.members(bytes(document), NAMES)
    if found is not None and whole is not ...:
        assert repr(found) == repr({name: whole[name] for name in found})
        assert found.keys() == whole.keys() & set(NAMES)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{",
        b"[1]",
        b'"id"',
        b'{"id": 1} 2',
        b'{"id": 1,}',
        b'{"id"}',
        b'{"id": 01}',
        b'{"id": 1.5}',
        b'{"id": -0}',
        b'{"id": 1234567890123456789}',
        b'{"id": "\\n"}',
        b'{"id": "\xff"}',
        b'{"i\\u0064": 1}',
        b'{"id": ' + b"[" * 20 + b"]" * 20 + b"}",
        b'{"other": "never ends',
        b'{"id": 1}\x00',
    ],
)
def test_what_is_not_plain_is_left_to_others(document: bytes) -> None:
    assert _json.members(document, NAMES) is None


def test_what_is_not_asked_for_is_not_looked_at() -> None:
    document = rb'{"data": [{"embedding": [1.5e3, -2]}, "\\\"}]"], "usage": {"a": [1, true, null]}}'
    assert _json.members(document, NAMES) == {"usage": {"a": [1, True, None]}}
    assert _json.members(b' {"id" : "x", "id" : "y" } ', NAMES) == {"id": "y"}


@given(VALUES)
@example({"a": [1, -5, 0, True, None, {"b": "c"}], "d": {}})
def test_a_value_is_written_as_python_writes_it(value: object) -> None:
    written = _json.compact(value)
    assert written is None or written == json.dumps(value, separators=(",", ":"))


@pytest.mark.parametrize("value", [1.5, 10**20, "é", "\\", "\ud800", (1,), {1: 2}, "x" * 5000])
def test_a_value_that_is_not_plain_is_left_to_others(value: object) -> None:
    assert _json.compact({"a": value}) is None


def test_a_plain_usage_block_is_written() -> None:
    usage = {"prompt_tokens": -12, "details": {"audio": [0, None, False]}, "tier": "default"}
    assert _json.compact(usage) == json.dumps(usage, separators=(",", ":"))


@pytest.mark.parametrize(
    "read", [openai_completions.read_completion, anthropic_messages.read_message]
)
def test_a_whole_body_is_read_by_the_members_that_are_said(read: Any) -> None:
    asked: set[str] = set()

    class Body(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            asked.add(key)
            return super().get(key, default)

    assert isinstance(read(Body(usage={"input_tokens": 1})), Reading)
    assert asked - {"choices"} <= set(READ_MEMBERS[read])


def test_it_compiles_without_a_warning(tmp_path: Path) -> None:
    include = sysconfig.get_path("include")
    if not (Path(include) / "Python.h").exists():
        pytest.skip("no Python.h")
    flags = ["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{include}"]
    try:
        command = ["cc", *flags, str(SOURCE), "-o", str(tmp_path / "_json.so")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no C compiler")
    assert done.returncode == 0, done.stderr


def test_python_does_without() -> None:
    code = (
        "from spanmeter.instrumentation.json_codec import encoded, members\n"
        """print(members(b'{"a": 1, "b": 2.5}', ("a",)), encoded({"a": [1]}))"""
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"SPANMETER_PURE_PYTHON": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "{'a': 1, 'b': 2.5} {\"a\":[1]}\n"
