"""The simulation of the service as a queue, against what is known of queues."""

import math

import pytest

from benchmarks.queueing import TurnCosts, fit, plan, random_arrivals, simulate


def test_a_turn_that_takes_one_is_the_queue_m_d_1() -> None:
    """Pollaczek and Khinchine: the mean wait is ρ·s / (2·(1 − ρ)) for a service of s seconds."""
    service_s, share = 0.002, 0.7
    latencies = simulate(TurnCosts(0.0, service_s, 1), random_arrivals(share / service_s, 200_000, seed=1))
    wanted = service_s + share * service_s / (2 * (1 - share))
    assert sum(latencies) / len(latencies) == pytest.approx(wanted, rel=0.03)


def test_turns_by_hand() -> None:
    """The first goes alone; the two that come meanwhile share a turn, but for the one beyond what a turn takes."""
    latencies = simulate(TurnCosts(turn_s=1.0, request_s=0.5, most=2), [0.0, 1.0, 1.2, 1.4, 100.0])
    assert latencies == pytest.approx([1.5, 1.5 + 2.0 - 1.0, 3.5 - 1.2, 3.5 + 1.5 - 1.4, 1.5])


def test_many_wait_no_longer_than_for_two_turns() -> None:
    """What comes in a turn that takes everybody is done at the end of the next one."""
    costs = TurnCosts(turn_s=0.01, request_s=0.0, most=10**9)
    latencies = simulate(costs, random_arrivals(5_000, 50_000))
    assert len(latencies) == 50_000
    assert max(latencies) <= 0.02 + 1e-9
    assert min(latencies) >= 0.01 - 1e-9


def test_random_arrivals_have_their_rate() -> None:
    arrivals = random_arrivals(50.0, 20_000)
    assert arrivals == sorted(arrivals)
    assert arrivals[-1] == pytest.approx(20_000 / 50, rel=5 / math.sqrt(20_000))
    assert random_arrivals(50.0, 3) != random_arrivals(50.0, 3, seed=1)


def test_the_fit_finds_the_line() -> None:
    costs = TurnCosts(turn_s=2e-4, request_s=5e-5, most=64)
    rates = {clients: clients / costs.of(clients) for clients in (1, 2, 4, 8, 16, 32)}
    found = fit(rates, most=64)
    assert found.turn_s == pytest.approx(costs.turn_s)
    assert found.request_s == pytest.approx(costs.request_s)
    assert found.top_rate == pytest.approx(64 / (2e-4 + 64 * 5e-5))
    assert fit({1: 400.0, 16: 500.0}, most=1) == TurnCosts(0.0, 0.002, 1)


def test_a_plan_by_hand() -> None:
    """1,000 requests/s of a core are 700 at seven tenths; 1,500 a second of 2,000 bytes are 24 Mbit/s."""
    assert plan(1500, TurnCosts(0.0, 0.001, 1), 2000) == ["3", "0.02"]
    assert plan(700, TurnCosts(0.0, 0.001, 1), 125_000) == ["1", "0.70"]
