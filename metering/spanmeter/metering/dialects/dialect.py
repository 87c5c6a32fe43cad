"""What a dialect is: the attribute vocabulary of one emitting library, as a table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from spanmeter.metering.span import AttributeValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Spans that a rule is for: everything that is given must fit.

    `scope` is the name of the instrumentation scope, or its beginning up to a dot; `before` the first
    version of it that the rule is no longer for. `provider` is the canonical name, `model` a regular
    expression for the beginning of the model's. `having` and `lacking` are places (see `Place`) that
    hold something or nothing, `saying` the values of attributes.
    """

    scope: str = ""
    before: str = ""
    provider: str = ""
    model: str = ""
    having: str = ""
    lacking: str = ""
    saying: Mapping[str, AttributeValue] = field(default_factory=dict[str, AttributeValue])


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    """How an emitter counts. What is charged for is always the whole.

    `input`: the count is the `whole`; or the part `beside_cache`, to which reads and writes are to be
    added; or the whole is what the total leaves `of_total` for it. `output`: the `whole`, or the part
    `beside_reasoning`.
    """

    input: Literal["whole", "beside_cache", "of_total"] = "whole"
    output: Literal["whole", "beside_reasoning"] = "whole"


WHOLE: Final = Counting()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dialect:
    """Where the emitters that share a vocabulary put each fact, and how they count.

    `scopes` are their instrumentation scopes, as in `Case`. `operation` names the attributes that tell
    the kind of a span, and `calls` those of its values that are one request to a provider, with our
    name for each; every other span describes calls that have spans of their own, and is not metered.

    `places` gives for each attribute of ours the places to look for it, newest first; what it does not
    give stands under our name. `beside` are counts that the emitter leaves out of a total, by the
    total. `total` is where it puts the sum of input and output.

    `counting` tells how it counts, by the first case that fits; otherwise its counts are wholes. In
    the cases of `estimates` it passes off its own numbers, or a part of the provider's, as the
    provider's. In those of `outside` a span without counts is the outside of another that has them.
    `providers` are its own names for them, up to a dot or hyphen; where none is given, `routes` are the
    places of a model's name with the provider's before it (`openai/gpt-5`). Where it `names_providers`
    not at all, they are told by the model. `own_id` is the form of response ids that it makes up itself.
    Where it is `vague`, it calls requests of any kind by one name, and a span with neither a model nor
    counts is none of ours.
    """

    name: str
    scopes: tuple[str, ...]
    operation: tuple[str, ...]
    calls: Mapping[str, str]
    places: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    beside: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    total: tuple[str, ...] = ()
    first_token_milliseconds: tuple[str, ...] = ()
    counting: tuple[tuple[Case, Counting], ...] = ()
    estimates: tuple[Case, ...] = ()
    outside: tuple[Case, ...] = ()
    providers: Mapping[str, str] = field(default_factory=dict[str, str])
    routes: tuple[str, ...] = ()
    own_id: str = ""
    names_providers: bool = True
    vague: bool = False
