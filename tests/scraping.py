"""What a collector's `/metrics` says, as Prometheus reads it."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable, Mapping

from prometheus_client.parser import text_string_to_metric_families

Labels = tuple[tuple[str, str], ...]


class Scraped:
    """The samples of one scrape. Names are given without `spanmeter_collector_`."""

    def __init__(self, text: str) -> None:
        self.families = list(text_string_to_metric_families(text))
        self._samples: dict[str, dict[Labels, float]] = {}
        for family in self.families:
            for sample in family.samples:
                labels = tuple(sorted(sample.labels.items()))
                self._samples.setdefault(sample.name, {})[labels] = sample.value

    def of(self, name: str) -> Mapping[Labels, float]:
        """The samples of this name, by their labels; none if it is not there."""
        return self._samples.get(f"spanmeter_collector_{name}", {})

    def by(self, name: str, label: str) -> dict[str, float]:
        """The samples of this name by one label, added up over the others."""
        sums: dict[str, float] = {}
        for labels, value in self.of(name).items():
            key = dict(labels)[label]
            sums[key] = sums.get(key, 0) + value
        return sums

    def sum(self, name: str) -> float:
        """The samples of this name, added up."""
        return sum(self.of(name).values())


def scrape(address: str) -> Scraped:
    """Read the page of the collector whose HTTP port is at HOST:PORT."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=30) as answer:
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        return Scraped(answer.read().decode())


def scraped_until(
    address: str, condition: Callable[[Scraped], object], seconds: float = 60
) -> Scraped:
    """Scrape until the page is as it should be."""
    deadline = time.monotonic() + seconds
    while not condition(page := scrape(address)):
        assert time.monotonic() < deadline, page.families
        time.sleep(0.1)
    return page
