"""What the comparison of two versions sees, and what it leaves out; no version is run here."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from reliability.unchanged.__main__ import compared
from reliability.unchanged.comparison import compare
from reliability.unchanged.corpus import requests, slow_requests
from reliability.unchanged.files import folder_outcome
from reliability.unchanged.http_cases import DRAWN, GIVEN_IDS, Case, ask, hide_volatile_lines
from reliability.unchanged.logs import canonical_log, canonical_metrics
from reliability.unchanged.trees import Tree

MODELS = {"one@0123456789ab": 64, "two@ba9876543210": 100}


# --- Bytes ------------------------------------------------------------------------------------------


def test_equal_outcomes_have_no_difference() -> None:
    assert compare({"a": b"x", "b": b""}, {"b": b"", "a": b"x"}) == []


@pytest.mark.parametrize(
    ("before", "after", "detail"),
    [(b"abc", b"abd", "byte 2 of 3"), (b"abc", b"ab", "byte 2 of 3"), (b"", b"a", "byte 0 of 0")],
)
def test_a_changed_byte_is_a_difference(before: bytes, after: bytes, detail: str) -> None:
    (found,) = compare({"same": b"x", "case": before}, {"same": b"x", "case": after})
    assert found.case == "case"
    assert found.detail.startswith(detail)


def test_a_case_of_one_outcome_alone_is_a_difference() -> None:
    assert [str(found) for found in compare({"a": b"x"}, {"b": b"x"})] == ["a\n    only before", "b\n    only after"]


def test_a_part_that_differs_is_counted(tmp_path: Path) -> None:
    trees = [Tree(name, tmp_path, tmp_path) for name in ("before", "after")]
    rows, differences = compared({"part": lambda tree, _: {"row": {"same": b"x", "case": tree.name.encode()}}}, trees)
    assert rows == [["part: row", "2", "1"], ["all", "2", "1"]]
    assert [found.case for found in differences] == ["part: row: case"]


# --- Answers ----------------------------------------------------------------------------------------


@contextmanager
def answering(headers: dict[str, str], body: bytes = b"body", status: int = 200) -> Iterator[int]:
    """The port of a service that gives one answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def answer(headers: dict[str, str], case: Case = Case("/"), **more: object) -> bytes:  # noqa: B008  (frozen)
    with answering(headers, **more) as port:  # type: ignore[arg-type]
        return ask(port, case).compared


@pytest.mark.slow
def test_status_headers_and_body_are_compared() -> None:
    usual = answer({"X-Model": "a", "ETag": '"t"'})
    assert usual == answer({"X-Model": "a", "ETag": '"t"'})
    changed = [
        answer({"X-Model": "b", "ETag": '"t"'}),
        answer({"x-model": "a", "ETag": '"t"'}),
        answer({"ETag": '"t"', "X-Model": "a"}),
        answer({"X-Model": "a"}),
        answer({"X-Model": "a", "ETag": '"t"'}, body=b"bodz"),
        answer({"X-Model": "a", "ETag": '"t"'}, status=203),
    ]
    assert all(compare({"case": usual}, {"case": one}) for one in changed)


@pytest.mark.slow
def test_dates_and_random_ids_are_not_compared() -> None:
    assert answer({"Date": "now", "X-Request-Id": "0" * 32}) == answer({"Date": "then", "X-Request-Id": "1" * 32})
    assert answer({"X-Request-Id": "mine"}) != answer({"X-Request-Id": "yours"})
    assert answer({"X-Request-Id": GIVEN_IDS[0]}) != answer({"X-Request-Id": "0" * 32})
    assert answer({"Last-Modified": "a", "ETag": '"x"'}) == answer({"Last-Modified": "b", "ETag": '"y"'})
    assert answer({"ETag": '"x"'}) != answer({"ETag": '"y"'})


def test_of_a_drawn_answer_the_names_of_headers_are_compared() -> None:
    drawn = Case("/", is_drawn=True)
    assert answer({"X-Seed": "1"}, drawn, body=b"x") == answer({"X-Seed": "2"}, drawn, body=b"y")
    assert answer({"X-Seed": "1"}, drawn) != answer({"X-Sead": "1"}, drawn)


def test_of_bytes_on_a_socket_only_volatile_lines_are_left_out() -> None:
    sent = b"HTTP/1.1 200 OK\r\ndate: %b\r\nx-request-id: %b\r\netag: %b\r\n\r\nbody"
    usual = hide_volatile_lines(sent % (b"now", b"0" * 32, b'"a"'))
    assert usual == hide_volatile_lines(sent % (b"then", b"1" * 32, b'"a"'))
    assert usual != hide_volatile_lines(sent % (b"now", b"0" * 32, b'"b"'))
    assert usual != hide_volatile_lines(sent % (b"now", b"mine", b'"a"'))


def test_the_requests_are_the_same_each_time_and_many() -> None:
    assert requests(MODELS, []) == requests(MODELS, [])
    assert len(requests(MODELS, [])) > 600
    assert len(slow_requests(MODELS)) >= 5 + len(MODELS)


# --- Logs and counters ------------------------------------------------------------------------------


def json_line(**changes: object) -> str:
    record: dict[str, object] = {
        "time": "t",
        "level": "info",
        "logger": "app.a",
        "message": "GET / 200, 4 bytes in 0.3 ms to x",
    }
    record |= {"pid": 7, "request_id": "0" * 32, "status": 200, "milliseconds": 0.3, "bytes": 4}
    return json.dumps(record | changes)


def test_volatile_fields_of_the_log_are_left_out() -> None:
    moved = json_line(time="u", pid=8, milliseconds=1.5, logger="app.b.c", request_id="1" * 32)
    assert canonical_log(json_line()) == canonical_log(moved.replace("in 0.3 ms", "in 1.5 ms"))
    assert canonical_log("INFO app.a: x [request " + "0" * 32 + "]") == canonical_log(
        "INFO app.b.c: x [request " + "1" * 32 + "]"
    )
    assert canonical_log("/one/a.py:1: W: text\n  source") == canonical_log("/two/b.py:22: W: text\n  other source")
    drawn: dict[str, object] = {"request_id": DRAWN, "message": "GET / 200, 5 bytes in 1 ms to x"}
    assert canonical_log(json_line(**drawn)) == canonical_log(json_line(**drawn, bytes=5).replace("5 bytes", "6 bytes"))


@pytest.mark.parametrize(
    "changes",
    [{"status": 404}, {"bytes": 5}, {"level": "error"}, {"logger": "b.a"}, {"request_id": "mine"}, {"new": 1}],
)
def test_all_else_of_the_log_is_compared(changes: dict[str, object]) -> None:
    assert canonical_log(json_line()) != canonical_log(json_line(**changes))


def test_counters_are_compared_and_seconds_are_not() -> None:
    metrics = '# HELP gan_a A\ngan_a{b="c"} %d\ngan_b_seconds_sum{b="c"} %d\n'
    before, other_time, other_count = (canonical_metrics(metrics % pair) for pair in ((1, 2), (1, 3), (2, 2)))
    assert compare(before, other_time) == []
    assert [found.case for found in compare(before, other_count)] == ["metrics gan_a"]


# --- Files ------------------------------------------------------------------------------------------


def write_run(folder: Path, *, seconds: float = 1.5, weight: float = 1.0, loss: float = 0.5, minute: int = 10) -> Path:
    (folder / "grids").mkdir(parents=True)
    progress = json.dumps({"seconds": seconds, "records": [{"seconds": seconds, "loss": loss}]})
    save_file({"w": torch.tensor([weight])}, folder / "checkpoint.safetensors", {"progress": progress})
    (folder / "stats.jsonl").write_text(json.dumps({"seconds": seconds, "loss": loss}) + "\n")
    (folder / "grids" / "00000.png").write_bytes(b"png")
    (folder / "log.txt").write_text(
        f"2026-01-01 10:{minute}:00 epoch 1  loss D {loss}  {minute} images/s  {minute} s\n"
    )
    return folder


def test_times_in_files_are_not_compared(tmp_path: Path) -> None:
    before = folder_outcome(write_run(tmp_path / "a"), "run")
    after = folder_outcome(write_run(tmp_path / "b", seconds=12345.678, minute=59), "run")
    assert compare(before, after) == []
    assert list(before) == ["run/checkpoint.safetensors", "run/grids/00000.png", "run/log.txt", "run/stats.jsonl"]


def test_a_changed_file_is_a_difference(tmp_path: Path) -> None:
    before = folder_outcome(write_run(tmp_path / "a"), "run")
    weight = folder_outcome(write_run(tmp_path / "b", weight=1.0000001), "run")
    loss = folder_outcome(write_run(tmp_path / "c", loss=0.25), "run")
    (write_run(tmp_path / "d") / "grids" / "00000.png").unlink()
    missing = folder_outcome(tmp_path / "d", "run")
    assert [found.case for found in compare(before, weight)] == ["run/checkpoint.safetensors"]
    assert [found.case for found in compare(before, loss)] == [
        "run/checkpoint.safetensors", "run/log.txt", "run/stats.jsonl",
    ]  # fmt: skip
    assert [str(found) for found in compare(before, missing)] == ["run/grids/00000.png\n    only before"]


def test_commands_import_the_packages_of_their_tree(tmp_path: Path) -> None:
    for package in ("app", "models", "training"):
        (tmp_path / "tree" / package).mkdir(parents=True)
        (tmp_path / "tree" / package / "__init__.py").touch()
    (tmp_path / "scratch").mkdir()
    Tree("own", tmp_path / "tree", tmp_path / "scratch").check_imports()
    with pytest.raises(RuntimeError, match="would be imported"):
        Tree("other", tmp_path / "elsewhere", tmp_path / "scratch").check_imports()
