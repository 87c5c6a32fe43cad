"""Forms of our own pages: small, and from no other site."""

import re
from typing import Annotated, Final
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from spanmeter.console.web.principals import refuse_other_sites
from spanmeter.console.web.problems import Problem

_MOST: Final = 50
_AMOUNT: Final = re.compile(r"[0-9]{1,15}(\.[0-9]{1,30})?")


async def sent_form(request: Request) -> dict[str, str]:
    """The fields of the form, the last of each name. Raises Problem 403 where another site sent it, and 400."""
    refuse_other_sites(request)
    body = await request.body()
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST)
    except ValueError as error:
        raise Problem.meaningless("the form cannot be read") from error
    if any("\0" in part for field in fields for part in field):
        raise Problem.meaningless("the form cannot be read")
    return {name: value.strip() for name, value in fields}


def amount_in(form: dict[str, str], name: str) -> str:
    """An exact amount that somebody has typed. Raises Problem 400."""
    text = form.get(name, "").replace(",", "")
    if _AMOUNT.fullmatch(text) is None:
        raise Problem.meaningless("an amount is a number such as 25 or 0.50")
    return text


SentForm = Annotated[dict[str, str], Depends(sent_form)]
