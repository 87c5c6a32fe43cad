"""Where the example programs are: inside an installed package, or beside the code in a checkout."""

from pathlib import Path

from spanmeter.console.failures import JobFailed

# Installed: spanmeter/examples, beside this package. In a checkout: examples, beside its root.
_PACKAGE = Path(__file__).parents[1]
_PLACES = (_PACKAGE.parent / "examples", _PACKAGE.parents[2] / "examples")


def examples_directory() -> Path:
    """The directory to put on PYTHONPATH for `saas` and `simulated_provider`."""
    for place in _PLACES:
        if (place / "saas").is_dir():
            return place
    raise JobFailed(f"the example programs are not in this install; looked in {_PLACES[0]}")
