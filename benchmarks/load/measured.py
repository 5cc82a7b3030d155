"""A service under load in several rounds: its rates and latencies, and the processor time that a request takes."""

import statistics
from dataclasses import dataclass, field

from benchmarks.load.wrk import LoadResult, load, middle
from harness.pinned_services import PinnedService
from harness.process_tree import processor_s
from harness.service_specs import RequestTemplate


@dataclass
class Measured:
    """All rounds of one service under one load.

    Attributes:
        loads: the result of each round.
        all_processor_us: the service's processor time for a request in each round, in microseconds.
    """

    loads: list[LoadResult] = field(default_factory=list)
    all_processor_us: list[float] = field(default_factory=list)

    def add_round(self, running: PinnedService, request: RequestTemplate, *, connections: int, seconds: int) -> None:
        """Put load on a service that is running (`benchmarks.load.wrk.load`), and keep the result."""
        before = processor_s(running.pid)
        done = load(running.port, request, connections=connections, seconds=seconds)
        self.loads.append(done)
        self.all_processor_us.append((processor_s(running.pid) - before) / (done.rate * seconds) * 1e6)

    @property
    def middle(self) -> LoadResult:
        """The median of each figure, and the sum of the errors."""
        return middle(self.loads)

    @property
    def processor_us(self) -> float:
        """The median of the processor time for a request, in microseconds."""
        return statistics.median(self.all_processor_us)
