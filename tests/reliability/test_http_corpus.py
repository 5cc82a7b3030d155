"""The corpus of requests on raw sockets, against a real service."""

from concurrent.futures import ThreadPoolExecutor

from harness.pinned_services import started
from harness.service_specs import ours
from models import bundled_models_dir
from reliability.hostile.http_judge import expected
from reliability.hostile.http_requests import CHUNKED, HOST, RawRequest, cases
from reliability.http_corpus import CLIENTS, check


def test_every_case_is_answered_as_judged() -> None:
    asked = list(cases())
    assert len(asked) > 300
    assert len({case.name for case in asked}) == len(asked)
    with started(ours(bundled_models_dir(), "mnist-mlp")) as running, ThreadPoolExecutor(CLIENTS) as pool:
        wrong = [text for text in pool.map(lambda case: check(running.port, case), asked) if text]
    assert wrong == []


def test_the_judge_sees_what_is_wrong() -> None:
    """A service that took garbage for nothing, or dropped an answer, would be seen."""
    by_name = {case.name: case for case in cases()}
    assert expected(by_name["GET, two behind it"]) == [200, 200, 200]
    assert expected(by_name["GET, garbage behind it"]) == [200, 400]
    assert expected(by_name["POST, head and body apart"]) == [200, 200]
    assert expected(by_name["no host"]) == [400]
    assert expected(RawRequest("", (b"POST /v1/samples HTTP/1.1\r\n" + HOST + CHUNKED,))) == []
