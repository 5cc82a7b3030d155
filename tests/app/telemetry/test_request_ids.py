"""Request ids, and the header `traceparent` of W3C's Trace Context, level 1."""

import pytest

from app.request_headers import join_repeated
from app.telemetry.request_ids import MAX_STAGES, RequestId, TraceParent, identify, parse_traceparent, request_id_of

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        (f"00-{TRACE}-{PARENT}-01", 1),
        (f"00-{TRACE}-{PARENT}-00", 0),
        (f"00-{TRACE}-{PARENT}-ff", 255),
        (f"01-{TRACE}-{PARENT}-01", 1),  # a later version: its known parts are read
        (f"cc-{TRACE}-{PARENT}-01-what-the-future-will-be-like", 1),
        (f"cc-{TRACE}-{PARENT}-01-", 1),
    ],
)
def test_traceparents(text: str, flags: int) -> None:
    assert parse_traceparent(text.encode()) == TraceParent(TRACE, PARENT, flags)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-",
        f"00-{TRACE}-{PARENT}-1",
        f"00-{TRACE}-{PARENT}-011",
        f"00-{TRACE}-{PARENT}-01-",
        f"00-{TRACE}-{PARENT}-01-more",
        f"ff-{TRACE}-{PARENT}-01",
        f"cc-{TRACE}-{PARENT}-01.more",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT.upper()}-01",
        f"00-{TRACE}-{PARENT}-0A",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{PARENT}-01",
        f"00-{TRACE}0-{PARENT}-01",
        f"00_{TRACE}_{PARENT}_01",
        f" 00-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01\n",
        f"0g-{TRACE}-{PARENT}-01",
        "٠٠" + f"-{TRACE}-{PARENT}-01",
    ],
)
def test_what_is_no_traceparent(text: str) -> None:
    assert parse_traceparent(text.encode()) is None


@pytest.mark.parametrize("text", ["a", "A-1_b.2", "x" * 64])
def test_an_id_that_was_given(text: str) -> None:
    found = identify({b"x-request-id": text.encode(), b"traceparent": f"00-{TRACE}-{PARENT}-01".encode()})
    assert (found.text, found.trace_id, found.span_id) == (text, TRACE, None)


@pytest.mark.parametrize("text", ["", "x" * 65, "a b", "a\n", "ä", "a/b", '"a"', "{}"])
def test_an_id_that_is_none(text: str) -> None:
    traced = identify({b"x-request-id": text.encode(), b"traceparent": f"00-{TRACE}-{PARENT}-01".encode()})
    assert traced.text == TRACE
    one, other = (identify({b"x-request-id": text.encode()}).text for _ in range(2))
    assert one != other
    assert len(one) == 32
    assert set(one) <= set("0123456789abcdef")


def test_what_comes_twice_is_nobodys() -> None:
    ids, parent = [(b"x-request-id", b"a")], [(b"traceparent", f"00-{TRACE}-{PARENT}-01".encode())]
    assert request_id_of({"headers": ids + parent}).text == "a"
    assert request_id_of({"headers": join_repeated(2 * ids)}).text not in {"a", "a, a"}
    assert request_id_of({"headers": ids + parent}).trace_id == TRACE
    assert request_id_of({"headers": join_repeated(2 * parent)}).trace_id is None


def test_stages_have_an_end() -> None:
    request = RequestId("a")
    for _ in range(2 * MAX_STAGES):
        request.add_stage("queue", 1, 2)
    assert len(request.stages) == MAX_STAGES
