"""`spanmeter doctor`: what is metered here, and what stands in the way."""

import click

from spanmeter.instrumentation.commands.answer import Answer
from spanmeter.instrumentation.doctor import examinations


@click.command()
def doctor() -> Answer:
    """Look at this environment: is every LLM call metered, and do the records arrive?

    Run it where your application runs, with its variables. Exits with 1 where there is a problem.
    """
    findings = [finding for examine in examinations() for finding in examine()]
    return Answer(
        columns=["level", "subject", "what", "to_do"],
        rows=[[each.level, each.subject, each.what, each.to_do or None] for each in findings],
        exit_code=int(any(each.level == "problem" for each in findings)),
    )
