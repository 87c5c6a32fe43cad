"""A problem as a page: what is wrong, and where to go."""

from http import HTTPStatus
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from spanmeter.console.web.problems import Problem
from spanmeter.console.web.rendering import page


def as_page(request: Request, problem: Problem) -> Response:
    """The page; who is not logged in and asked for one is led to where one logs in."""
    embedded = request.url.path.startswith("/embed")
    if problem.status == HTTPStatus.UNAUTHORIZED and request.method == "GET" and not embedded:
        asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/login?{urlencode({'next': asked})}", HTTPStatus.SEE_OTHER)
    template = "embed_problem.html" if embedded else "problem.html"
    answer = page(request, template, problem.status, problem=problem)
    answer.headers.update(problem.headers)
    return answer
