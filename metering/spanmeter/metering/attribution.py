"""Where a span names its tenant and other dimensions: ours first, then each library's own place."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from spanmeter.metering import attributes as names
from spanmeter.metering.places import Place, Said
from spanmeter.metering.span import Attributes, AttributeValue

DIMENSIONS: Final[Mapping[str, str]] = {
    "tenant": names.TENANT_ID,
    "workspace": names.WORKSPACE_ID,
    "project": names.PROJECT_ID,
    "user": names.USER_ID,
    "feature": names.USAGE_FEATURE,
    "workflow": names.USAGE_WORKFLOW,
    "action": names.USAGE_ACTION,
    "label": names.USAGE_LABEL,
    "account_type": names.USAGE_ACCOUNT_TYPE,
}
"""What an operator may say the places of, and our attribute for it."""

RESOURCE: Final = "resource:"
"""Begins a place among the attributes of the process. Those come last: a process serves many tenants."""

_ASSOCIATION: Final = "traceloop.association.properties."
_VERCEL: Final = "ai.telemetry.metadata."
_LANGFUSE: Final = "langfuse.trace.metadata."
_LITELLM: Final = "metadata.requester_metadata/"

PLACES: Final[Mapping[str, tuple[str, ...]]] = {
    "tenant": (
        _ASSOCIATION + "tenant.id",
        _ASSOCIATION + "tenant_id",
        _VERCEL + "tenant.id",
        _VERCEL + "tenantId",
        _VERCEL + "tenant_id",
        # Quoted, as Langfuse writes all metadata.
        _LANGFUSE + "tenant.id/",
        _LANGFUSE + "tenant_id/",
        _LITELLM + "tenant.id",
        _LITELLM + "tenant_id",
        "metadata.tenant_id",
        # OpenInference's and Pydantic AI's, one JSON object.
        "metadata/tenant.id",
        "metadata/tenant_id",
        RESOURCE + names.TENANT_ID,
    ),
    "workspace": (_ASSOCIATION + "workspace_id", RESOURCE + names.WORKSPACE_ID),
    "project": (_ASSOCIATION + "project_id", RESOURCE + names.PROJECT_ID),
    "user": (
        "enduser.id",
        "langfuse.user.id",
        _ASSOCIATION + "user_id",
        _VERCEL + "userId",
        _VERCEL + "user_id",
        "metadata.user_api_key_end_user_id",
        "llm.user",
        "gen_ai.request.user",
    ),
    "feature": ("ai.telemetry.functionId",),
    "workflow": ("traceloop.workflow.name", "gen_ai.workflow.name"),
}
"""The places that are looked at unless an operator says otherwise, after our own attribute."""


class Found(NamedTuple):
    """The attributes of a span with its dimensions under our names, and the place of its tenant."""

    attributes: Attributes
    tenant_place: str


class _Source(NamedTuple):
    """One place, as it was written, and whether it is the process's."""

    written: str
    place: Place
    of_process: bool


class Attribution:
    """Finds the dimensions of a span.

    `places` gives by dimension where to look, in order, in place of the defaults: names of attributes
    of the span, or of members of the JSON in one (`metadata/customer`), or after `resource:` those of
    its process, which always come last. Our own attribute comes first, unless it is listed. Raises
    `ValueError` for a dimension that is none, or an empty place.
    """

    def __init__(self, places: Mapping[str, Sequence[str]] | None = None) -> None:
        told = places or {}
        for dimension in told:
            if dimension not in DIMENSIONS:
                raise ValueError(f"{dimension!r} is not one of {', '.join(DIMENSIONS)}")
        self._sources = {
            DIMENSIONS[dimension]: _sources(DIMENSIONS[dimension], listed)
            for dimension, listed in {**PLACES, **told}.items()
        }
        elsewhere = [
            source
            for name, sources in self._sources.items()
            for source in sources
            if source.place != Place(name) or source.of_process
        ]
        self._elsewhere = _attributes(elsewhere, of_process=False)
        self._of_process = _attributes(elsewhere, of_process=True)

    def places(self, *, of_process: bool) -> frozenset[Place]:
        """Where dimensions are looked for, in spans or in their resources."""
        every = (source for sources in self._sources.values() for source in sources)
        return frozenset(each.place for each in every if each.of_process == of_process)

    def is_usual(self, attributes: Iterable[str], resource: Iterable[str]) -> bool:
        """Whether everything is where it should be, or nowhere, as in nearly all spans of ours."""
        return self._elsewhere.isdisjoint(attributes) and self._of_process.isdisjoint(resource)

    def found(self, attributes: Attributes, resource: Attributes) -> Found:
        """The span's attributes, its dimensions among them wherever it has them."""
        if self.is_usual(attributes, resource):
            return Found(attributes, names.TENANT_ID)
        said, process = Said(attributes), Said(resource)
        words: dict[str, AttributeValue] = dict(attributes)
        tenant_place = names.TENANT_ID
        for name, sources in self._sources.items():
            for source in sources:
                value = (process if source.of_process else said).at(source.place)
                # Whatever else an application keeps there is no reason to refuse the span.
                if isinstance(value, str | int | float):
                    words[name] = value
                    if name == names.TENANT_ID:
                        tenant_place = source.written.rstrip("/")
                    break
        return Found(words, tenant_place)


def _sources(ours: str, listed: Sequence[str]) -> tuple[_Source, ...]:
    written = listed if ours in listed else (ours, *listed)
    sources = [_source(each) for each in written]
    return tuple(sorted(sources, key=lambda source: source.of_process))


def _source(written: str) -> _Source:
    name = written.removeprefix(RESOURCE)
    place = Place.named(name)
    if not place.attribute:
        raise ValueError(f"{written!r} names no attribute")
    return _Source(written, place, written.startswith(RESOURCE))


def _attributes(sources: Iterable[_Source], *, of_process: bool) -> frozenset[str]:
    return frozenset(s.place.attribute for s in sources if s.of_process == of_process)
