"""All plans that were ever recorded, and whose they are: which one is in force for a tenant when, as known by when."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from spanmeter.metering.plans.plan import PlanVersion

EVERYBODY = None
"""In place of a tenant: those that have no plan of their own."""


class Assignment(NamedTuple):
    """From a moment on a tenant has a plan; without a tenant, all have that have none of their own.

    Without a plan it ends what was assigned before.
    """

    tenant_id: str | None
    plan: str | None
    effective_from: datetime
    recorded_at: datetime
    number: int = 0


class Span(NamedTuple):
    """A time in which one version of a plan is in force, or none."""

    since: datetime
    until: datetime
    version: PlanVersion | None


class PlanBook:
    """Versions and assignments, in any order. Nothing in it ever changes."""

    def __init__(
        self, versions: Iterable[PlanVersion], assignments: Iterable[Assignment] = ()
    ) -> None:
        self.versions: Sequence[PlanVersion] = tuple(versions)
        self.assignments: Sequence[Assignment] = tuple(assignments)
        self._of_plan: defaultdict[str, list[PlanVersion]] = defaultdict(list)
        for version in self.versions:
            self._of_plan[version.plan.name].append(version)
        self._of_tenant: defaultdict[str | None, list[Assignment]] = defaultdict(list)
        for assignment in self.assignments:
            self._of_tenant[assignment.tenant_id].append(assignment)

    def as_of(self, moment: datetime) -> "PlanBook":
        """What was recorded by then."""
        return PlanBook(
            (each for each in self.versions if each.recorded_at <= moment),
            (each for each in self.assignments if each.recorded_at <= moment),
        )

    def recorded_since(self, moment: datetime, tenant_id: str) -> bool:
        """Whether something was recorded after that which may change what the tenant is charged."""
        return any(each.recorded_at > moment for each in self.versions) or any(
            each.recorded_at > moment
            for whose in (tenant_id, EVERYBODY)
            for each in self._of_tenant.get(whose, ())
        )

    def tenants(self) -> set[str]:
        """Those that have, or had, a plan of their own."""
        return {tenant for tenant in self._of_tenant if tenant is not None}

    def in_force(self, tenant_id: str, at: datetime) -> PlanVersion | None:
        """The version that a tenant is charged by at a moment."""
        plan = self.plan_of(tenant_id, at)
        return None if plan is None else self.version_of(plan, at)

    def plan_of(self, tenant_id: str, at: datetime) -> str | None:
        """The plan that a tenant has at a moment: its own, else everybody's."""
        for whose in (tenant_id, EVERYBODY):
            begun = [each for each in self._of_tenant.get(whose, ()) if each.effective_from <= at]
            if begun and (plan := max(begun, key=_latest_assignment).plan) is not None:
                return plan
        return None

    def version_of(self, plan: str, at: datetime) -> PlanVersion | None:
        """The version of a plan in force at a moment: of those from the same moment on the one recorded last."""
        begun = [each for each in self._of_plan.get(plan, ()) if each.effective_from <= at]
        return max(begun, key=_latest_version, default=None)

    def spans(self, tenant_id: str, since: datetime, until: datetime) -> list[Span]:
        """What is in force for a tenant from moment to moment, without a gap."""
        if since >= until:
            return []
        cuts = sorted({since, *self._changes(tenant_id, since, until), until})
        found: list[Span] = []
        for begin, end in pairwise(cuts):
            version = self.in_force(tenant_id, begin)
            if found and found[-1].version == version:
                found[-1] = found[-1]._replace(until=end)
            else:
                found.append(Span(begin, end, version))
        return found

    def _changes(self, tenant_id: str, since: datetime, until: datetime) -> Iterator[datetime]:
        mine = (*self._of_tenant.get(tenant_id, ()), *self._of_tenant.get(EVERYBODY, ()))
        for each in (*mine, *self.versions):
            if since < each.effective_from < until:
                yield each.effective_from


def _latest_assignment(each: Assignment) -> tuple[datetime, datetime, int]:
    return each.effective_from, each.recorded_at, each.number


def _latest_version(each: PlanVersion) -> tuple[datetime, int]:
    return each.effective_from, each.number
