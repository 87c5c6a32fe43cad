"""Whose word an application takes on whose request it is: baggage that comes in is anybody's claim."""

import os
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final, TypeVar

Request = TypeVar("Request")
Trust = Callable[[Request], bool]

TRUST_INBOUND: Final = "SPANMETER_TRUST_INBOUND"
"""`never`, `always`, or the networks whose requests are believed: `10.0.0.0/8, fd00::/8`."""


def trust(
    given: bool | Trust[Request] | None,  # noqa: FBT001 - a setting, and read by its type
    peer: Callable[[Request], str | None],
) -> Trust[Request]:
    """Which requests are believed: as given, or else by the setting; `peer` is the address that one
    comes from. Raises `ValueError` where the setting is none."""
    if callable(given):
        return given
    said = os.environ.get(TRUST_INBOUND) or "never"
    if given is None and said not in {"never", "always"}:
        return _from(said, peer)
    believed = said == "always" if given is None else given
    return lambda request: believed


def _from(networks: str, peer: Callable[[Request], str | None]) -> Trust[Request]:
    try:
        believed = [ip_network(each.strip(), strict=False) for each in networks.split(",")]
    except ValueError as exc:
        raise ValueError(
            f"{TRUST_INBOUND}={networks!r}: {exc}; give never, always, or networks such as 10.0.0.0/8"
        ) from None

    def is_within(request: Request) -> bool:
        try:
            address = ip_address(peer(request) or "")
        except ValueError:
            return False  # a socket of the machine's own has no address
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return any((mapped or address) in network for network in believed)

    return is_within
