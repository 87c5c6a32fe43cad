"""The errors that spanmeter raises into an application's calls: only those that were switched on.

SpanmeterError
  MissingTenant     SPANMETER_MISSING_TENANT=raise
"""


class SpanmeterError(Exception):
    """The base of them all. Nothing else of spanmeter's ever reaches a caller."""


class MissingTenant(SpanmeterError):
    """A call was about to be made of which nobody knows whose it is. It was not made.

    `callsite` is the `file:line` that would have made it, `package` the client library.
    """

    def __init__(self, callsite: str, package: str) -> None:
        super().__init__(callsite, package)
        self.callsite = callsite
        self.package = package

    def __str__(self) -> str:
        return (
            f"the call of {self.package} at {self.callsite} has no tenant and was not made: put "
            "`with usage(tenant_id=...)` around it, or UsageMiddleware around the application"
        )
