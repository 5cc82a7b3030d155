"""Jobs, and how their results reach their waiters."""

import asyncio
import threading
from typing import Any

import numpy as np
import pytest

from app.inference.jobs import Job, Receive, Rows, awaited_job, deliver


class Waiter:
    """Waits for ever."""

    def cancelled(self) -> bool:
        return False


def rows(n: int) -> Rows:
    return np.full((n, 1), n, np.float32)


def job(receive: Receive, loop: asyncio.AbstractEventLoop) -> Job:
    return Job(rows(1), Waiter(), receive, loop, 0.0)


def deliver_in_a_thread(answers: list[tuple[Job, Rows | Exception]]) -> None:
    thread = threading.Thread(target=deliver, args=[answers])
    thread.start()
    thread.join()


def test_answers_of_one_receiver_come_in_one_callback_in_their_order() -> None:
    async def play() -> None:
        loop, heard, other = asyncio.get_running_loop(), list[Any](), list[Any]()
        jobs = [job(heard.append, loop) for _ in range(3)]
        # A bound method is a new object each time it is looked up, but it is the same receiver.
        extra = job(other.append, loop)
        fault = ValueError("no")
        deliver_in_a_thread([(jobs[2], rows(2)), (extra, rows(9)), (jobs[0], fault), (jobs[1], rows(1))])
        assert heard == []  # the loop calls the receiver, not the thread
        await asyncio.sleep(0)
        ((first, failed, last),) = heard
        assert [waiter for waiter, _ in (first, failed, last)] == [jobs[2].waiter, jobs[0].waiter, jobs[1].waiter]
        assert (len(first[1]), failed[1], len(last[1])) == (2, fault, 1)
        (((waiter, answer),),) = other
        assert (waiter, len(answer)) == (extra.waiter, 9)

    asyncio.run(play())


def test_a_closed_loop_keeps_no_answer_from_others() -> None:
    closed = asyncio.new_event_loop()
    closed.close()

    async def play() -> None:
        heard: list[Any] = []
        lost, kept = job(heard.append, closed), job(heard.append, asyncio.get_running_loop())
        deliver_in_a_thread([(lost, rows(1)), (kept, rows(2))])
        await asyncio.sleep(0)
        assert [[waiter for waiter, _ in answers] for answers in heard] == [[kept.waiter]]

    asyncio.run(play())


def test_a_future_gets_the_results_or_the_error() -> None:
    async def play() -> None:
        good, result = awaited_job(rows(1))
        bad, error = awaited_job(rows(1))
        deliver_in_a_thread([(good, rows(3)), (bad, ValueError("no"))])
        assert (await result).tolist() == rows(3).tolist()
        with pytest.raises(ValueError, match="no"):
            await error

    asyncio.run(play())


def test_a_cancelled_future_is_passed_over_and_the_next_gets_its_answer() -> None:
    async def play() -> None:
        gone, cancelled = awaited_job(rows(1))
        here, result = awaited_job(rows(1))
        cancelled.cancel()
        deliver_in_a_thread([(gone, rows(3)), (here, rows(4))])
        assert (await result).shape == (4, 1)

    asyncio.run(play())


def test_what_is_left_of_a_job() -> None:
    async def play() -> None:
        large, _ = awaited_job(rows(10))
        assert large.left == 10
        large.taken = 7
        assert large.left == 3

    asyncio.run(play())
