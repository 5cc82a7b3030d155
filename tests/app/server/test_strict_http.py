"""RFC 9110 and 9112 over a raw socket: what clients may do that uvicorn alone gets wrong."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from app.server.admission import Admission
from app.server.protocol import GuardedConfig, GuardedProtocol
from app.server.strict_http import PROBE_S
from app.telemetry.metrics import Metrics
from harness.service import Service
from reliability.hostile.http_judge import RawAnswer, read_answers
from tests.services import running

HEAD = b"Host: gan\r\n"
GET = b"GET /v1/samples?n=1&seed=7 HTTP/1.1\r\n" + HEAD + b"\r\n"
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"


KEYS = "a-key,schlüssel-ä"


@pytest.fixture(scope="module")
def locked_service(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("locked"), models_dir=models_dir, api_keys=KEYS) as started:
        yield started


def connect(service: Service) -> socket.socket:
    host, port = service.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=120)


def send(connection: socket.socket, *segments: bytes) -> None:
    for segment in segments:
        connection.sendall(segment)
        time.sleep(0.05)  # so that each is read by itself


def rest(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def ask(service: Service, *segments: bytes, method: bytes = b"GET") -> list[RawAnswer]:
    """The answers to bytes behind which the client ends its sending side, as `nc -N` does."""
    with connect(service) as connection:
        send(connection, *segments)
        connection.shutdown(socket.SHUT_WR)
        return read_answers(rest(connection), [method])


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("/v1/samples?n=1&seed=7", b"image/png"),
        ("/v1/samples?n=100&seed=7&scale=4", b"image/png"),
        ("/v1/samples?n=2&seed=7&format=json", b"application/json"),
        ("/v1/samples?n=2000&seed=7&format=npz", b"application/x-npz"),
        ("/v1/samples?n=200&seed=7&format=zip", b"application/zip"),
        ("/v1/interpolations?seeds=1,2&steps=4&format=gif", b"image/gif"),
        ("/v1/models", b"application/json"),
        ("/metrics", b"text/plain"),
        ("/", b"text/html"),
        ("/static/icon.svg", b"image/svg+xml"),
    ],
)
def test_one_who_sends_no_more_gets_the_answer(service: Service, target: str, kind: bytes) -> None:
    (answer,) = ask(service, f"GET {target} HTTP/1.1\r\n".encode() + HEAD + b"\r\n")
    assert answer.status == 200
    assert answer.headers[b"content-type"].startswith(kind)
    assert answer.body


def test_one_who_sends_no_more_gets_all_answers(service: Service) -> None:
    large = b"GET /v1/samples?n=3000&seed=7&format=npz HTTP/1.1\r\n" + HEAD + b"\r\n"
    assert [answer.status for answer in ask(service, large + GET + GET)] == [200, 200, 200]


@pytest.mark.parametrize("goes", [False, True])
def test_one_who_has_gone_is_not_worked_for(goes: bool) -> None:
    """A closed connection looks like one whose client only sends no more; a probe tells them apart."""
    heard: list[str] = []
    ended = asyncio.Event()

    async def patient(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # the request's body
        with suppress(TimeoutError):
            message = await asyncio.wait_for(receive(), 8 * PROBE_S if not goes else 60)
            heard.append(message["type"])
        await PlainTextResponse("done")(scope, receive, send)
        ended.set()

    async def ask() -> bytes:
        admission = Admission(max_requests=9, metrics=Metrics())
        config = GuardedConfig(patient, admission=admission, fast_path=None, log_config=None, ws="none")
        config.load()
        state = ServerState()
        server = await asyncio.get_running_loop().create_server(
            lambda: GuardedProtocol(config, state, {}), "127.0.0.1", 0
        )
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        writer.write(GET)
        writer.write_eof()
        if goes:
            writer.close()
        answer = b"" if goes else await reader.read()
        writer.close()
        await writer.wait_closed()
        await asyncio.wait_for(ended.wait(), 60)
        server.close()
        return answer

    answer = asyncio.run(ask())
    assert heard == (["http.disconnect"] if goes else [])
    assert (answer == b"") == goes
    assert goes or [one.body for one in read_answers(answer, [b"GET"])] == [b"done"]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("apart", [False, True])
def test_an_offer_of_http_2_does_not_cost_the_body(service: Service, chunked: bool, apart: bool) -> None:
    """As curl --http2 and Java's client send it."""
    body = b'{"n": 1, "seed": 7}'
    framing, sent = (
        (b"Transfer-Encoding: chunked\r\n", b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        if chunked
        else (b"Content-Length: %d\r\n" % len(body), body)
    )
    head = b"POST /v1/samples HTTP/1.1\r\n" + HEAD + b"Content-Type: application/json\r\n" + H2C + framing + b"\r\n"
    answers = ask(service, *((head, sent, GET) if apart else (head + sent + GET,)))
    assert [answer.status for answer in answers] == [200, 200]
    assert answers[0].body == answers[1].body


def test_garbage_waits_behind_the_answer_that_is_due(service: Service) -> None:
    large = b"GET /v1/samples?n=3000&seed=7&format=npz HTTP/1.1\r\n" + HEAD + b"\r\n"
    first, second = ask(service, large + b"\x00garbage\r\n\r\n")
    assert (first.status, second.status) == (200, 400)
    assert first.body.startswith(b"PK")
    assert second.headers[b"content-type"] == b"application/problem+json"
    assert b"not valid HTTP" in second.body


def test_trailer_fields_are_not_headers(locked_service: Service) -> None:
    chunks = b'13\r\n{"n": 1, "seed": 7}\r\n0\r\nAuthorization: Bearer a-key\r\nIf-None-Match: *\r\n\r\n'
    head = b"POST /v1/samples HTTP/1.1\r\n" + HEAD + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    assert [answer.status for answer in ask(locked_service, head + b"\r\n", chunks)] == [401]
    opened = head + b"Authorization: Bearer a-key\r\n\r\n"
    assert [answer.status for answer in ask(locked_service, opened, chunks)] == [200]


@pytest.mark.parametrize("key", ["schlüssel-ä", "schlüssel-ä".encode().decode("latin-1")])
def test_a_key_beyond_ascii(locked_service: Service, key: str) -> None:
    """UTF-8, as curl sends it, and Latin-1, as browsers do."""
    get = b"GET /v1/models HTTP/1.1\r\n" + HEAD + b"Authorization: Bearer " + key.encode("latin-1") + b"\r\n\r\n"
    assert [answer.status for answer in ask(locked_service, get)] == [200]


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"", b"needs a Host header"),
        (HEAD + HEAD, b"2 Host headers"),
        (HEAD + b"Host: other\r\n", b"2 Host headers"),
        (b"Host: a b\r\n", b"is not a host"),
    ],
)
def test_hosts(service: Service, head: bytes, said: bytes) -> None:
    (answer,) = ask(service, b"GET /healthz HTTP/1.1\r\n" + head + b"\r\n")
    assert answer.status == 400
    assert said in answer.body


@pytest.mark.parametrize(
    ("codings", "version", "status"),
    [
        ([b"chunked"], b"1.1", 200),
        ([b"Chunked"], b"1.1", 200),
        ([b", chunked"], b"1.1", 200),
        ([b"gzip, chunked"], b"1.1", 501),
        ([b"gzip,chunked"], b"1.1", 501),
        ([b"gzip", b"chunked"], b"1.1", 501),
        ([b"identity, chunked"], b"1.1", 501),
        ([b"gzip"], b"1.1", 400),
        ([b"chunked, gzip"], b"1.1", 400),
        ([b"chunked, chunked"], b"1.1", 400),
        ([b"chunked"], b"1.0", 400),
    ],
)
@pytest.mark.parametrize("offers", [b"", H2C])
def test_transfer_codings(service: Service, codings: list[bytes], version: bytes, status: int, offers: bytes) -> None:
    """A body with another coding would be misread; nothing behind it is answered either."""
    lines = b"".join(b"Transfer-Encoding: %b\r\n" % coding for coding in codings)
    head = b"POST /v1/samples HTTP/%b\r\n" % version + HEAD + b"Content-Type: application/json\r\n" + offers + lines
    answers = ask(service, head + b"\r\n" + b'13\r\n{"n": 1, "seed": 7}\r\n0\r\n\r\n' + GET)
    assert [answer.status for answer in answers] == ([200, 200] if status == 200 else [status])
    if status == 501:
        assert b"urn:gan:problem:unknown-coding" in answers[0].body


TEXT = b"POST /v1/samples HTTP/1.1\r\n" + HEAD + b"Content-Type: text/plain\r\nContent-Length: 3000000\r\n"


@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        (b"GET /healthz HTTP/1.1\r\n\r\n" + GET * 9000, [400]),
        (GET + b"GET /healthz HTTP/1.1\r\n\r\n" + GET * 9000, [200, 400]),
        (GET + GET + b"GET /healthz HTTP/1.1\r\n\r\n" + GET * 9000, [200, 200, 400]),
        (TEXT + b"Connection: close\r\n\r\n" + bytes(3_000_000), [415]),
        (TEXT.replace(b"1.1", b"1.0") + b"\r\n" + bytes(3_000_000), [415]),
        (TEXT.replace(b"/v1/samples", b"/nothing") + b"Connection: close\r\n\r\n" + bytes(3_000_000), [404]),
    ],
    ids=["refused", "refused-behind-one", "refused-behind-two", "close", "1.0", "no-such-path"],
)
def test_the_last_answer_is_not_lost_by_a_reset(service: Service, sent: bytes, statuses: list[int]) -> None:
    """The client still sends when the connection ends. A reset would throw away what the client has not read."""
    with connect(service) as connection:
        connection.sendall(sent)
        assert [answer.status for answer in read_answers(rest(connection), [])] == statuses


@pytest.mark.parametrize("method", [b"GET", b"CONNECT"])
@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"http://gan_service/healthz", 200),
        (b"HTTP://gan:99999/healthz", 200),
        (b"https://[::1]:8000/healthz", 200),
        (b"http://[::1/healthz", 400),
        (b"http://", 400),
        (b"http:///healthz", 400),
        (b"gan:443", 400),
        (b"ftp://gan/healthz", 400),
    ],
)
def test_targets_that_are_no_path(service: Service, method: bytes, target: bytes, status: int) -> None:
    """None of them costs the answer to the request before it."""
    asked = method + b" " + target + b" HTTP/1.1\r\n" + HEAD + b"\r\n"
    first, second = ask(service, GET + asked)
    assert first.status == 200
    if method == b"GET":
        assert second.status == status
        assert b"callback" not in second.body
    else:
        assert second.status in (400, 405)


@pytest.mark.slow
def test_half_a_head_behind_an_answer_is_no_idle_connection(service: Service) -> None:
    """It was ended after 5 s without a word, as one on which nothing has begun; a head has 30 s."""
    with connect(service) as connection:
        send(connection, GET + b"GET /heal", b"thz HTTP/1.1\r\n")
        time.sleep(8)
        send(connection, HEAD + b"\r\n")
        connection.shutdown(socket.SHUT_WR)
        assert [answer.status for answer in read_answers(rest(connection), [])] == [200, 200]


def test_pipelining_clients_that_leave_leave_no_traceback(service: Service) -> None:
    large = b"GET /v1/samples?n=100000&seed=7&format=npz HTTP/1.1\r\n" + HEAD + b"\r\n"
    for asked in (large + GET * 5, GET * 20, large * 3, GET + large + GET):
        for read in (0, 100):
            with connect(service) as connection:
                connection.sendall(asked)
                if read:
                    connection.recv(read)
    with connect(service) as connection:
        send(connection, GET)
        connection.shutdown(socket.SHUT_WR)
        assert rest(connection)
    assert "Traceback" not in service.log.read_text()


@pytest.mark.parametrize("target", ["/", "/docs", "/redoc", "/static/icon.svg"])
def test_a_page_that_is_known_is_not_sent_again(service: Service, target: str) -> None:
    tag = service.client.get(target).headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}'):
        again = service.client.get(target, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    assert service.client.get(target, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "/v1/samples?n=4096&seed=7",
        "/v1/samples?n=100000&seed=7&format=npz",
        "/v1/samples?n=100000&seed=7&format=zip",
        "/v1/samples?n=512&seed=7&format=json",
        "/v1/interpolations?seeds=1,2,3&steps=60&format=gif&scale=4",
        "/v1/interpolations?seeds=1,2,3&steps=60&format=png",
    ],
)
def test_head_draws_nothing(service: Service, query: str) -> None:
    before = -1.0
    while before != (before := service.metric("gan_images_generated_total")):  # until the test before has ended
        time.sleep(0.3)
    head = service.client.head(query)
    assert head.status_code == 200
    assert head.content == b""
    assert service.metric("gan_images_generated_total") == before
    with service.client.stream("GET", query) as get:
        wanted = dict(get.headers)
    changing = {"date", "content-length", "transfer-encoding", "connection"}
    assert {name: value for name, value in head.headers.items() if name not in changing} == {
        name: value for name, value in wanted.items() if name not in changing
    }
    assert head.headers.get("content-length", wanted.get("content-length")) == wanted.get("content-length")
