"""What went wrong, as RFC 9457 has it: the one form in which the API says no."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

MEDIA_TYPE: Final = "application/problem+json"


class ProblemDetails(BaseModel):
    """A problem as it is sent (RFC 9457, section 3.1)."""

    type: str = Field(
        "about:blank", description="What kind of problem; about:blank: its status says it."
    )
    title: str = Field(description="The kind of problem in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong with this request, and what to do.")
    instance: str | None = Field(None, description="The path that was asked for.")


class Problem(Exception):
    """A request that is not answered as asked. `detail` is one sentence, and repeats no secret."""

    def __init__(
        self, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})

    @classmethod
    def unauthenticated(cls, detail: str) -> "Problem":
        """Nobody that we know asks."""
        challenge = {"WWW-Authenticate": 'Bearer realm="spanmeter"'}
        return cls(HTTPStatus.UNAUTHORIZED, detail, challenge)

    @classmethod
    def forbidden(cls, detail: str) -> "Problem":
        """Who asks may not see that."""
        return cls(HTTPStatus.FORBIDDEN, detail)

    @classmethod
    def not_found(cls, detail: str) -> "Problem":
        """There is no such thing."""
        return cls(HTTPStatus.NOT_FOUND, detail)

    @classmethod
    def conflict(cls, detail: str) -> "Problem":
        """It cannot be done as things are."""
        return cls(HTTPStatus.CONFLICT, detail)

    @classmethod
    def meaningless(cls, detail: str) -> "Problem":
        """Each parameter has the form that the document gives, and yet it is no question that has an answer."""
        return cls(HTTPStatus.BAD_REQUEST, detail)

    @classmethod
    def malformed(cls, detail: str) -> "Problem":
        """A parameter has not the form that the document gives."""
        return cls(HTTPStatus.UNPROCESSABLE_ENTITY, detail)


def as_json(problem: Problem, path: str) -> JSONResponse:
    """The problem as the API's answer."""
    details = ProblemDetails(
        type="about:blank",
        title=problem.status.phrase,
        status=problem.status,
        detail=problem.detail,
        instance=path,
    )
    return JSONResponse(
        details.model_dump(), problem.status, headers=problem.headers, media_type=MEDIA_TYPE
    )


def documented(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """For the OpenAPI document: with these a route may answer, beside those that every route has."""
    always = (
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    )
    schema = {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}
    return {
        int(status): {"description": status.phrase, "content": {MEDIA_TYPE: schema}}
        for status in (*always, *statuses)
    }
