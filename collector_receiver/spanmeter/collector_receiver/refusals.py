"""Why an export request is not taken, whatever it came over. Each transport has its own code for each."""


class Refused(Exception):
    """The request is not taken; nothing of it is acknowledged. The text is for its sender."""


class Unusable(Refused):
    """What was sent cannot be taken, now or later. Sending it again will not help."""


class BodyTooLarge(Unusable):
    """The request is larger than is taken at once."""


class TryAgain(Refused):
    """Not now, for no fault of the sender's: the same request is welcome a moment later."""
