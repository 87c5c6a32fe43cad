"""The usage context: whose call it is, in the words of the product.

    with usage(tenant_id="acme", feature="summaries"):
        client.chat.completions.create(...)

Everything called inside, in this service or in one called over HTTP, is metered for that tenant.
"""

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final, Literal, Self, cast, overload

from spanmeter.instrumentation.carrying import carry, extract, inject
from spanmeter.instrumentation.identity import Identity, identity_in
from spanmeter.instrumentation.recording import Operation, Quantity, records
from spanmeter.instrumentation.scope import UsageScope
from spanmeter.metering import attributes as names

AccountType = Literal["paid", "trial", "free", "internal"]
BillableState = Literal["billable", "included", "ignored"]

MAX_VALUE_LENGTH: Final = 256
"""Characters in one value. W3C asks for at least 8192 bytes of baggage in all, and senders drop
what is over."""

_logger = logging.getLogger(__name__)

_FIELDS: Final = MappingProxyType(
    {
        "tenant_id": names.TENANT_ID,
        "workspace_id": names.WORKSPACE_ID,
        "project_id": names.PROJECT_ID,
        "user_id": names.USER_ID,
        "feature": names.USAGE_FEATURE,
        "workflow": names.USAGE_WORKFLOW,
        "action": names.USAGE_ACTION,
        "label": names.USAGE_LABEL,
        "idempotency_key": names.USAGE_IDEMPOTENCY_KEY,
        "account_type": names.USAGE_ACCOUNT_TYPE,
        "billable_state": names.USAGE_BILLABLE_STATE,
    }
)


@dataclass(frozen=True, kw_only=True)
class UsageContext:
    """The dimensions of a call. Only `tenant_id`, the account that pays, is required.

    `dimensions` are rollups of your own, by name. For dimensions that a type checker knows,
    subclass:

        @dataclass(frozen=True, kw_only=True)
        class AcmeUsage(UsageContext):
            department: str

        with usage(AcmeUsage(tenant_id="acme", department="legal")): ...

    Each further field becomes the dimension of its name.
    """

    tenant_id: str
    workspace_id: str | None = None
    project_id: str | None = None
    user_id: str | None = None
    feature: str | None = None
    workflow: str | None = None
    action: str | None = None
    label: str | None = None
    idempotency_key: str | None = None
    account_type: AccountType | None = None
    billable_state: BillableState | None = None
    byok: bool | None = None
    dimensions: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])

    @classmethod
    def current(cls) -> Self | None:
        """The usage context in force, as this class; `None` where no tenant, or not all that it
        requires, is known."""
        return cls._from_identity(identity_in())

    @classmethod
    def _from_identity(cls, identity: Identity) -> Self | None:
        values: dict[str, object] = {field: identity.get(name) for field, name in _FIELDS.items()}
        byok = identity.get(names.USAGE_BYOK)
        values["byok"] = None if byok is None else byok == "true"
        prefix = names.USAGE_DIMENSION_PREFIX
        dimensions = {
            name[len(prefix) :]: value
            for name, value in identity.items()
            if name.startswith(prefix)
        }
        for field in _further_fields(cls):
            value = dimensions.pop(field.name, None)
            if value is not None:
                values[field.name] = value
            elif (
                field.default is dataclasses.MISSING
                and field.default_factory is dataclasses.MISSING
            ):
                return None
        values["dimensions"] = dimensions
        return cls(**cast(Any, values)) if values["tenant_id"] else None

    def identity(self) -> Identity:
        """This context as it travels; values that cannot are left out, with a warning."""
        values = {name: cast("str | None", getattr(self, field)) for field, name in _FIELDS.items()}
        values[names.USAGE_BYOK] = None if self.byok is None else str(self.byok).lower()
        further = {field.name: getattr(self, field.name) for field in _further_fields(type(self))}
        for name, value in {**self.dimensions, **further}.items():
            values[names.USAGE_DIMENSION_PREFIX + name] = value
        return _sendable(values)


def current_usage() -> UsageContext | None:
    """The usage context in force, wherever it was set; `None` where no tenant is known."""
    return UsageContext.current()


def refine(
    *,
    workspace_id: str | None = None,
    project_id: str | None = None,
    user_id: str | None = None,
    feature: str | None = None,
    workflow: str | None = None,
    action: str | None = None,
    label: str | None = None,
    idempotency_key: str | None = None,
    account_type: AccountType | None = None,
    billable_state: BillableState | None = None,
    byok: bool | None = None,
    dimensions: Mapping[str, str] = MappingProxyType({}),
) -> UsageScope:
    """Adds to the usage context in force, whoever's it is: like `usage`, for code that does not
    know the tenant."""
    fields = {name: value for name, value in locals().items() if value is not None}
    try:
        identity = dict(UsageContext(tenant_id="-", **cast(Any, fields)).identity())
    except Exception:
        _logger.exception("refine(...) was given what it cannot carry; it has no effect")
        identity = {}
    identity.pop(names.TENANT_ID, None)
    return UsageScope(identity, keeps_tenant=True)


class Usage:
    """What an application says of usage: whose it is (`usage(...)`), and what only it knows of
    (`usage.record`). `usage.carry`, `usage.inject` and `usage.extract` take it to where it does not
    go by itself."""

    carry = staticmethod(carry)
    inject = staticmethod(inject)
    extract = staticmethod(extract)

    @overload
    def __call__(self, context: UsageContext, /) -> UsageScope: ...

    @overload
    def __call__(
        self,
        /,
        *,
        tenant_id: str,
        workspace_id: str | None = None,
        project_id: str | None = None,
        user_id: str | None = None,
        feature: str | None = None,
        workflow: str | None = None,
        action: str | None = None,
        label: str | None = None,
        idempotency_key: str | None = None,
        account_type: AccountType | None = None,
        billable_state: BillableState | None = None,
        byok: bool | None = None,
        dimensions: Mapping[str, str] = MappingProxyType({}),
    ) -> UsageScope: ...

    def __call__(self, context: UsageContext | None = None, /, **fields: object) -> UsageScope:
        """Meters everything inside for a tenant. A context manager, an async context manager and a
        decorator.

        Within another `usage` of the same tenant, what is given overrides and the rest is inherited.
        Another tenant inherits nothing. Never raises: a tenant id that is no text of 1 to 256
        characters is logged, and the calls are booked as unattributed.
        """
        try:
            context = UsageContext(**cast(Any, fields)) if context is None else context
            return UsageScope(context.identity())
        except Exception:
            _logger.exception(
                "usage(...) was given what it cannot carry; calls inside are unattributed"
            )
            return UsageScope({})

    def record(
        self,
        *,
        unit: str,
        quantity: Quantity,
        model: str | None = None,
        provider: str | None = None,
        operation: Operation = "recorded",
        duration: timedelta | float | None = None,
        dimensions: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Records anything else that costs money, for the tenant in force: GPU seconds, images of a
        model of your own, pages parsed.

            usage.record(unit="gpu_seconds", quantity=Decimal("12.75"), model="sdxl")

        One row of the ledger: `quantity`, exactly, of `unit`, by `provider` (`self_hosted` where it
        is not given), within the last `duration` seconds. Never raises: what is no quantity is
        logged.
        """
        with refine(dimensions=dimensions):
            records.record(
                unit=unit,
                quantity=quantity,
                model=model,
                provider=provider,
                operation=operation,
                duration=duration,
            )


usage: Final = Usage()


def _further_fields(cls: type[UsageContext]) -> tuple[dataclasses.Field[str], ...]:
    """The fields that a subclass adds."""
    return tuple(field for field in dataclasses.fields(cls) if field.name not in _OWN_FIELDS)


_OWN_FIELDS: Final = frozenset(field.name for field in dataclasses.fields(UsageContext))


def _sendable(values: Mapping[str, object]) -> Identity:
    identity: dict[str, str] = {}
    for name, value in values.items():
        if value is None and name != names.TENANT_ID:
            continue
        text = _sendable_text(value)
        if text and _sendable_text(name.removeprefix(names.USAGE_DIMENSION_PREFIX)):
            identity[name] = text
        else:
            # A cut value would be another tenant's, so nothing is cut. The value itself may be
            # private.
            _logger.warning(
                "%r must be named by, and be, text of 1 to %d characters; it is left out",
                name,
                MAX_VALUE_LENGTH,
            )
    return identity


def _sendable_text(value: object) -> str:
    """The value if it is the same after any number of hops, else nothing."""
    # Propagators strip what they receive.
    text = value.strip() if isinstance(value, str) else ""
    # A lone surrogate cannot be encoded: propagators would raise, in the application's requests.
    encodable = text.encode(errors="ignore").decode() == text
    return text if len(text) <= MAX_VALUE_LENGTH and "\0" not in text and encodable else ""
