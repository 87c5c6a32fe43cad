"""The customers, and whose API key is whose."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Account:
    """One customer: the tenant that pays, or tries."""

    tenant: str
    kind: Literal["paid", "trial"]
    region: str


BY_API_KEY = {
    "key-acme": Account("acme", "paid", "us"),
    "key-globex": Account("globex", "paid", "eu"),
    "key-initech": Account("initech", "trial", "us"),
}
