"""The compiled encoder is made where it can be, writes what Python writes, and is missed by nobody where it is not."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmeter.instrumentation.pipeline import encoding, python_spans
from spanmeter.instrumentation.pipeline.frames import frame
from spanmeter.instrumentation.pipeline.protobuf import field
from spanmeter.instrumentation.pipeline.values import key_value
from unit.instrumentation.pipeline.test_encoding import TEXT, VALUES

SOURCE = Path(encoding.__file__).with_name("_spans.c")
U64 = st.integers(0, (1 << 64) - 1)
ATTRIBUTES = st.dictionaries(TEXT, VALUES | st.integers(), max_size=12)


def other(name: str, value: object) -> bytes:
    return field(9, key_value(name, value))


@given(ATTRIBUTES)
def test_attributes_are_the_same_bytes(attributes: dict[str, object]) -> None:
    compiled = pytest.importorskip("spanmeter.instrumentation.pipeline._spans")
    written = compiled.encoded_attributes(attributes, other)
    assert written == python_spans.encoded_attributes(attributes, other)


@given(
    st.tuples(
        st.integers(0, (1 << 128) - 1),
        U64,
        st.just(0) | U64,
        st.binary(max_size=20),
        st.integers(0, 127),
        U64,
        U64,
        st.binary(max_size=5000),
        ATTRIBUTES,
        st.binary(max_size=20),
        st.integers(0, (1 << 32) - 1),
    ),
    st.integers(0, (1 << 63) - 1),
)
def test_spans_are_the_same_bytes(fields: python_spans.Fields, sequence: int) -> None:
    compiled = pytest.importorskip("spanmeter.instrumentation.pipeline._spans")
    assert compiled.span(fields, sequence, other) == python_spans.span(fields, sequence, other)


@given(
    st.integers(0, 10_000),
    st.integers(0, (1 << 16) - 1),
    st.integers(0, (1 << 16) - 1),
    st.binary(max_size=6000),
    st.integers(-1, 1),
)
def test_frames_in_a_file_are_the_same_bytes(
    at: int, kind: int, scope: int, payload: bytes, spare: int
) -> None:
    compiled = pytest.importorskip("spanmeter.instrumentation.pipeline._spans")
    room = at + len(frame(kind, scope, payload)) + spare
    ends: list[int] = []
    written: list[bytes] = []
    for append in (compiled.append_frame, python_spans.append_frame):
        with tempfile.TemporaryFile() as file:
            ends.append(append(file.fileno(), at, room, kind, scope, payload))
            written.append(file.read())
    assert ends == [0 if spare < 0 else room - spare] * 2
    assert written == [b"" if spare < 0 else bytes(at) + frame(kind, scope, payload)] * 2


@pytest.mark.parametrize("name", ["python_spans", "_spans"])
def test_a_file_that_cannot_be_written_is_said(name: str) -> None:
    append = pytest.importorskip(f"spanmeter.instrumentation.pipeline.{name}").append_frame
    with pytest.raises(OSError, match="Bad file descriptor"):
        append(-1, 0, 1000, 3, 0, b"payload")
    with pytest.raises(OverflowError):
        append(-1, 0, 1000, 3, 1 << 16, b"payload")


@pytest.mark.parametrize("name", ["python_spans", "_spans"])
@pytest.mark.parametrize("start", [-1, 1 << 64])
def test_a_time_that_has_no_place_is_said(name: str, start: int) -> None:
    encoder = pytest.importorskip(f"spanmeter.instrumentation.pipeline.{name}")
    with pytest.raises(OverflowError):
        encoder.span((1, 1, 0, b"", 3, start, 1, b"", {}, b"", 0), 1, other)


@pytest.mark.parametrize("name", ["python_spans", "_spans"])
def test_what_the_other_raises_is_raised(name: str) -> None:
    encoder = pytest.importorskip(f"spanmeter.instrumentation.pipeline.{name}")

    def fails(name: str, value: object) -> bytes:
        raise LookupError(name)

    with pytest.raises(LookupError):
        encoder.encoded_attributes({"a": 1, "b": None}, fails)


def test_it_compiles_without_a_warning(tmp_path: Path) -> None:
    include = sysconfig.get_path("include")
    if not (Path(include) / "Python.h").exists():
        pytest.skip("no Python.h")
    flags = ["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{include}"]
    try:
        command = ["cc", *flags, str(SOURCE), "-o", str(tmp_path / "_spans.so")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no C compiler")
    assert done.returncode == 0, done.stderr


OF_ANOTHER_VERSION = """\
other = types.ModuleType('_spans'); other.REVISION = 0
sys.modules['spanmeter.instrumentation.pipeline._spans'] = other"""


@pytest.mark.parametrize(
    ("before", "pure"),
    [
        ("pass", "1"),
        ("sys.modules['spanmeter.instrumentation.pipeline._spans'] = None", "0"),
        (OF_ANOTHER_VERSION, "0"),
    ],
    ids=["asked for", "not compiled", "of another version"],
)
def test_python_encodes_too(before: str, pure: str) -> None:
    code = (
        f"import sys, types\n{before}\n"
        "from spanmeter.instrumentation.pipeline import encoding; print(encoding.ENCODER)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "SPANMETER_PURE_PYTHON": pure},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "python"
