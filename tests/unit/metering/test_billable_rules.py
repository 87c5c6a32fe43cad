"""Billable rules as text: what is taken, what is refused and how that is said, and that it means what it says."""

import tomllib
from fnmatch import fnmatchcase
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmeter.metering.billable_facts import FACTS
from spanmeter.metering.billable_rules import (
    BUILT_IN,
    DEFAULTS,
    MAX_BYTES,
    RulesError,
    read_rules,
)
from unit.metering.test_billable import facts

HEAD = 'otherwise = "billable"\n'


def rule(body: str, name: str = "pilot") -> str:
    return f'{HEAD}[[rule]]\nname = "{name}"\n{body}\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "otherwise is missing"),
        ('otherwise = "free"', "otherwise: it must be billable, included or ignored"),
        ("otherwise = ", "the file is no TOML"),
        ("\0", "NUL"),
        ("# " + "x" * MAX_BYTES, "larger than 256 KiB"),
        (HEAD + "x = " + "[" * 20_000, "no TOML"),
        (HEAD + 'rules = "x"', "'rules' is no key of the file"),
        (HEAD + "rule = 1", "rule is not a list"),
        (HEAD + "rule = [1]", "rule 1 is no table"),
        (rule('state = "ignored"', "Pilot"), "rule 1, name: it must be"),
        (rule('state = "ignored"', "otherwise"), "rule 1, name: it must be"),
        (rule('state = "charged"'), "rule 'pilot', state: it must be billable"),
        (rule(""), "rule 'pilot', state: it must be billable"),
        (rule('state = "ignored"\nif = 1'), "rule 'pilot', if: it is no key of a rule"),
        (rule('state = "ignored"\nwhen = 1'), "rule 'pilot', when: it must be a table"),
        (rule('state = "ignored"\nwhen.colour = "red"'), "rule 'pilot', colour: nothing is known"),
        (
            rule('state = "ignored"\nwhen.status = "failed"'),
            "rule 'pilot', status: 'failed' is none of cancelled",
        ),
        (
            rule('state = "ignored"\nwhen.account_type.not = "payed"'),
            "rule 'pilot', account_type.not: 'payed'",
        ),
        (rule('state = "ignored"\nwhen.tenant = 1'), "rule 'pilot', tenant: 1 is no condition"),
        (
            rule('state = "ignored"\nwhen.tenant = true'),
            "rule 'pilot', tenant: True is no condition",
        ),
        (rule('state = "ignored"\nwhen.tenant = []'), "rule 'pilot', tenant: a list is of text"),
        (
            rule('state = "ignored"\nwhen.tenant = ["a", 1]'),
            "rule 'pilot', tenant: a list is of text",
        ),
        (
            rule('state = "ignored"\nwhen.tenant = { like = "a" }'),
            "a table of 'like' is no condition",
        ),
        (rule('state = "ignored"\nwhen.tenant = { glob = "a", not = "b" }'), "is no condition"),
        (rule('state = "ignored"\nwhen.tenant.present = "yes"'), "is no condition"),
        (
            rule('state = "ignored"\nwhen.byok = "true"'),
            "byok: 'true' is no condition; true, false",
        ),
        (rule('state = "ignored"\nwhen.dimensions = "eu"'), "dimensions: it must be a table"),
        (
            rule('state = "ignored"\nwhen.dimensions.region = 1'),
            "dimensions.region: 1 is no condition",
        ),
        (rule('state = "ignored"\nwhen.tenant' + ".not" * 9 + ' = "a"'), "is no condition"),
        (
            rule('state = "ignored"') + '[[rule]]\nname = "pilot"\nstate = "ignored"',
            "rule 2, name: 'pilot' is the name",
        ),
        (rule('state = "ignored"') + '[[rule]]\nname = "b"\nstate = "ignored"', "never reached"),
    ],
)
def test_what_is_wrong_is_said_with_rule_and_key(text: str, told: str) -> None:
    with pytest.raises(RulesError) as refused:
        read_rules("rules-1", text)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_rule_can_be_shown_as_it_was_written() -> None:
    text = rule(
        'state = "included"\nwhen = { tenant = ["a", "b"], dimensions."x y".not.glob = "é*" }'
    )
    pilot = read_rules("rules-1", text).rule("pilot")
    assert pilot is not None
    assert (
        pilot.text == '{ tenant = ["a", "b"], dimensions = { "x y" = { not = { glob = "é*" } } } }'
    )
    assert tomllib.loads(f"when = {pilot.text}") == {"when": tomllib.loads(text)["rule"][0]["when"]}
    assert read_rules("rules-1", text).rule("nobody") is None


def test_the_defaults_are_rules_like_any() -> None:
    again = read_rules("defaults-1", DEFAULTS.text)
    assert [rule.name for rule in again.rules] == [rule.name for rule in DEFAULTS.rules]
    assert BUILT_IN["defaults-1"] is DEFAULTS
    otherwise = DEFAULTS.rule("otherwise")
    assert otherwise is not None
    assert otherwise.text == 'otherwise = "billable"'


# Few values, so that conditions often hold.
WORDS = st.sampled_from(["a", "b", "ab", "A", "a*", ""])
GLOBS = st.sampled_from(["a", "a*", "*", "?", "[ab]", "A*"])
TEXT_FACTS = sorted(
    name
    for name, fact in FACTS.items()
    if not fact.flag and fact.values is None and name != "model"
)
CONDITIONS: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        WORDS,
        st.lists(WORDS, min_size=1, max_size=3),
        st.fixed_dictionaries({"glob": st.one_of(GLOBS, st.lists(GLOBS, min_size=1, max_size=2))}),
        st.fixed_dictionaries({"present": st.booleans()}),
    ),
    lambda inner: st.fixed_dictionaries({"not": inner}),
    max_leaves=3,
)
WHEN = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("tenant", "environment", "feature", "provider", "model"), CONDITIONS),
        "status": st.sampled_from(["ok", "error", {"not": "ok"}]),
        "byok": st.booleans(),
        "produced_output": st.one_of(st.booleans(), st.fixed_dictionaries({"not": st.booleans()})),
        "dimensions": st.dictionaries(st.sampled_from(["x", "y"]), CONDITIONS, min_size=1),
    },
)
RULES = st.lists(
    st.tuples(st.sampled_from(["billable", "included", "ignored"]), WHEN.filter(bool)), max_size=5
)
CALLS = st.fixed_dictionaries(
    {
        "tenant_id": st.none() | WORDS,
        "environment": st.none() | WORDS,
        "feature": st.none() | WORDS,
        "provider": WORDS,
        "request_model": st.none() | WORDS,
        "response_model": st.none() | WORDS,
        "status": st.sampled_from(["ok", "error", "timeout"]),
        "byok": st.booleans(),
        "produced_output": st.booleans(),
        "dimensions": st.dictionaries(st.sampled_from(["x", "y"]), WORDS),
    }
)


def holds(wanted: Any, value: Any, *, folded: bool) -> bool:
    """The condition, read word by word."""
    if isinstance(wanted, dict) and "not" in wanted:
        return not holds(wanted["not"], value, folded=folded)
    if isinstance(wanted, dict) and "present" in wanted:
        return (value is not None) is wanted["present"]
    if not isinstance(value, str):
        return value is not None and value is wanted
    globbed = isinstance(wanted, dict)
    asked: Any = cast("dict[str, Any]", wanted)["glob"] if globbed else wanted
    listed = cast("list[str]", asked) if isinstance(asked, list) else [str(asked)]
    if folded:
        listed, value = [item.lower() for item in listed], value.lower()
    return any(fnmatchcase(value, item) if globbed else value == item for item in listed)


def naive(listed: list[tuple[str, dict[str, Any]]], call: dict[str, Any]) -> tuple[str, str]:
    """What the rules say of a call, rule by rule."""
    told = {
        **call,
        "tenant": call["tenant_id"],
        "model": call["response_model"] or call["request_model"],
    }
    for place, (state, when) in enumerate(listed):
        asked = {name: wanted for name, wanted in when.items() if name != "dimensions"}
        own = when.get("dimensions", {})
        if all(
            holds(wanted, told[name], folded=name == "environment")
            for name, wanted in asked.items()
        ) and all(
            holds(wanted, call["dimensions"].get(name), folded=False)
            for name, wanted in own.items()
        ):
            return state, f"rules-9/r{place}"
    return "billable", "rules-9/otherwise"


def toml(value: Any) -> str:
    if isinstance(value, dict):
        table = cast("dict[str, Any]", value)
        return "{ " + ", ".join(f"{name} = {toml(inner)}" for name, inner in table.items()) + " }"
    if isinstance(value, list):
        listed = cast("list[str]", value)
        return "[" + ", ".join(map(toml, listed)) + "]"
    return str(value).lower() if isinstance(value, bool) else f'"{value}"'


@given(RULES, st.lists(CALLS, min_size=1, max_size=8))
def test_any_rules_decide_as_they_read(
    listed: list[tuple[str, dict[str, Any]]], calls: list[dict[str, Any]]
) -> None:
    text = HEAD + "".join(
        f'[[rule]]\nname = "r{place}"\nstate = "{state}"\nwhen = {toml(when)}\n'
        for place, (state, when) in enumerate(listed)
    )
    read = read_rules("rules-9", text)
    # Twice, since the second time it is remembered.
    for call in [*calls, *calls]:
        assert read.decide(facts(**call)) == naive(listed, call)


@pytest.mark.parametrize("name", TEXT_FACTS)
def test_every_fact_can_be_asked_for(name: str) -> None:
    read = read_rules("rules-1", rule(f'state = "ignored"\nwhen.{name} = "x"'))
    (field,) = FACTS[name].fields
    states = [read.decide(facts(**{field: value}))[0] for value in ("x", "y", None, "x")]
    assert states == ["ignored", "billable", "billable", "ignored"]
