"""The log's forms."""

import json
import logging
import sys

from spanmeter.console.logs import JsonLines


def record(message: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord(
        "spanmeter.test", logging.WARNING, "file.py", 1, message, arguments, None
    )


def test_a_record_is_one_line_with_what_was_said() -> None:
    line = JsonLines().format(record("two\nlines of %r, “quoted”", "x"))
    assert "\n" not in line
    said = json.loads(line)
    assert said.pop("time").endswith("+00:00")
    assert said.pop("process") > 0
    assert said == {
        "level": "warning",
        "logger": "spanmeter.test",
        "message": "two\nlines of 'x', “quoted”",
    }


def test_an_exception_is_in_the_same_line() -> None:
    failed = record("failed")
    try:
        raise ValueError("why")
    except ValueError:
        failed.exc_info = sys.exc_info()
    line = JsonLines().format(failed)
    assert "\n" not in line
    assert json.loads(line)["exception"].endswith("ValueError: why")
