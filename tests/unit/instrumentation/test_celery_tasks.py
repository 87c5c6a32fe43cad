"""A task works for whoever sent it. That a worker's does is seen in acceptance, with a real broker."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from celery import Celery, signals  # type: ignore[import-untyped]
from celery.contrib.testing import worker as testing  # type: ignore[import-untyped]

from spanmeter.instrumentation import celery_tasks, current_usage, usage
from unit.instrumentation import faults
from unit.instrumentation.working import who

pytestmark = pytest.mark.usefixtures("recorder")


@pytest.fixture
def app() -> Generator[Any]:
    """An application whose broker is this process."""
    app: Any = Celery(broker="memory://", backend="cache+memory://", set_as_current=False)
    yield app
    app.close()


@pytest.fixture
def task(app: Any) -> Any:
    return app.task(who, name="who", shared=False)


def _leave_logging_alone(**_: Any) -> None:
    """Celery sets up the logging of the process, unless somebody else is there to do it."""


@pytest.fixture
def worker(app: Any, task: Any) -> Generator[None]:
    untyped: Any = testing
    setup_logging: Any = signals.setup_logging
    setup_logging.connect(_leave_logging_alone)
    try:
        with untyped.start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=60):
            yield
    finally:
        setup_logging.disconnect(_leave_logging_alone)


@pytest.mark.usefixtures("worker")
def test_a_task_works_for_whoever_sent_it(task: Any) -> None:
    with usage(tenant_id="acme"):
        sent = [task.delay(), task.signature().apply_async(), task.apply_async(countdown=0)]
        assert [each.get(timeout=60) for each in sent] == ["acme"] * 3
    assert task.delay().get(timeout=60) is None
    with usage(tenant_id="globex"):
        assert task.delay().get(timeout=60) == "globex"


def test_a_task_that_is_not_sent_works_for_its_caller(app: Any, task: Any) -> None:
    app.conf.task_always_eager = True
    with usage(tenant_id="acme"):
        assert task.delay().get() == task() == "acme"
        found = current_usage()
    assert found is not None
    assert task.delay().get() is None


@pytest.mark.usefixtures("worker")
def test_a_fault_of_ours_leaves_a_task_alone(task: Any) -> None:
    ours = faults.functions_of([celery_tasks])
    broken = [each for each in ours if each.__name__ not in {"_sending", "carry_into_tasks"}]
    assert len(broken) == 3
    for function in broken:
        with faults.broken([function]), usage(tenant_id="acme"):
            assert task.delay().get(timeout=60) in {"acme", None}
