"""The page that Prometheus reads. With several workers whoever is asked answers for all of them.

Each worker publishes its own page beside those of the others, every second; the one that is asked puts them together,
each sample with a label `worker`, its own page as it is now.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from spanmeter.collector_receiver.settings import Worker

logger = logging.getLogger(__name__)

INTERVAL: Final = 1.0
"""Seconds between two publications."""

STALE: Final = 30.0
"""Seconds after which a page no more tells how its worker is: it was not replaced, or hangs."""

SUFFIX: Final = ".prom"


class SharedPages:
    """The pages of all workers, each in a file that its worker's number names; `page` makes this one's."""

    def __init__(self, worker: Worker, page: Callable[[], bytes]) -> None:
        self._own = worker.pages / f"{worker.number}{SUFFIX}"
        self._page = page
        self._published = True
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spanmeter-metrics", daemon=True)

    def start(self) -> None:
        """Publish from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Publish once more: the last counts are not lost, while others still answer."""
        self._stopping.set()
        self._thread.join()

    def __call__(self) -> bytes:
        """The page of all."""
        return merged({**self._others(), self._own.stem: self._page().decode()})

    def _others(self) -> dict[str, str]:
        fresh = time.time() - STALE
        pages: dict[str, str] = {}
        for path in sorted(self._own.parent.glob(f"*{SUFFIX}")):
            if path != self._own and path.stat().st_mtime >= fresh:
                pages[path.stem] = path.read_text(encoding="utf-8")
        return pages

    def _run(self) -> None:
        while not self._stopping.wait(INTERVAL):
            self._publish()
        self._publish()

    def _publish(self) -> None:
        written = self._own.with_suffix(".new")
        try:
            written.write_bytes(self._page())
            written.replace(self._own)
        except OSError as error:
            if self._published:
                logger.warning("the metrics of this worker cannot be published: %s", error)
            self._published = False
        else:
            self._published = True


def merged(pages: Mapping[str, str]) -> bytes:
    """One page of several, by worker; a family that more than one has comes once, with the samples of each."""
    families: dict[str, Metric] = {}
    for worker, page in pages.items():
        for family in text_string_to_metric_families(page):
            known = families.setdefault(
                family.name, Metric(family.name, family.documentation, family.type)
            )
            for sample in family.samples:
                labels = {**sample.labels, "worker": worker}
                known.add_sample(sample.name, labels, sample.value)
    return generate_latest(_Families(families.values()))


class _Families(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families
