"""Why an export request is not taken, whatever it came over. Each transport has its own status for each."""

from typing import ClassVar


class Refused(Exception):
    """The request is not taken; nothing of it is acknowledged. The text is for its sender."""

    code: ClassVar = "refused"
    """What it is counted as."""


class Unusable(Refused):
    """What was sent cannot be taken, now or later. Sending it again will not help."""

    code = "unusable"


class BodyTooLarge(Unusable):
    """The request is larger than is taken at once."""

    code = "too_large"


class NotSupported(Unusable):
    """The request comes in a form that is not taken."""

    code = "not_supported"


class Unauthenticated(Refused):
    """Who sends is not known: no key, or none that is taken. The key has to be mended first."""

    code = "unauthenticated"


class Forbidden(Refused):
    """Who sends is known, and may not send."""

    code = "forbidden"


class TryAgain(Refused):
    """Not now, for no fault of the sender's: the same request is welcome a moment later."""

    code = "try_again"
