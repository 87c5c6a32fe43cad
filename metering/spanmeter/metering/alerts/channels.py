"""Where alerts go, as the rules' file names it. Secrets are not in it: it names variables of the environment."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

ChannelType = Literal["webhook", "email", "apprise"]
TYPES: Final[tuple[str, ...]] = get_args(ChannelType)


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One place that is told. `resolved`: also when it is over."""

    name: str
    resolved: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookChannel(Channel):
    """A POST of JSON, signed as Standard Webhooks say with the secret (`whsec_...`) in the variable `secret_env`."""

    url: str | None = None
    url_env: str | None = None
    secret_env: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailChannel(Channel):
    """A message by SMTP; `security` is starttls, tls, or none on networks that nobody listens in on."""

    host: str
    port: int | None = None
    sender: str
    to: tuple[str, ...]
    user: str | None = None
    password_env: str | None = None
    security: Literal["starttls", "tls", "none"] = "starttls"


@dataclass(frozen=True, slots=True, kw_only=True)
class AppriseChannel(Channel):
    """Slack and a hundred others: an address as apprise takes it, which holds a secret, in the variable `url_env`."""

    url_env: str
