"""`training watch`: the page shows what the run folder holds, and changes nothing in it."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from harness.tiny_models import tiny_png
from models.model_folder.game_rules import THE_PAPERS, THE_RELATIVISTIC, Optimum
from models.model_folder.history import EpochRecord, TrainingEvent
from tests.browser import Scheme, Visit, needs_chromium
from tests.processes import interruptible
from tests.training.support import command_line, environment, make_config, tiny_recipe, write_npz
from training.errors import RunError
from training.run import watch
from training.run.folder import RunFolder
from training.run.watch import address_of, describe_run, make_server
from viewer import viewer_dir

EVENT = TrainingEvent(epoch=2, kind="collapse", detail="coverage is <b>0.1</b>", action="went on")


def record(epoch: int) -> EpochRecord:
    return EpochRecord(
        epoch=epoch,
        images=100 * epoch,
        seconds=epoch,
        loss_d=0.6 + epoch / 100,
        loss_g=0.8,
        d_real=0.6,
        d_fake=0.4,
        value=-1.3,
        metrics={"frechet": 50 / epoch, "coverage": 0.5},
    )


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run of 10 epochs, of which 3 are done."""
    run = RunFolder(tmp_path / "my-run")
    run.create(make_config(tiny_recipe("mlp", "epochs=10"), write_npz(tmp_path / "images.npz")))
    run.write_stats([record(epoch) for epoch in (1, 2, 3)])
    run.write_events([EVENT])
    for epoch in range(4):
        run.write_grid(epoch, tiny_png(60 * epoch))
    return run


@contextmanager
def watched(folder: RunFolder, *, host: str = "127.0.0.1") -> Iterator[ThreadingHTTPServer]:
    with make_server(folder, host=host, port=0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def url(folder: RunFolder) -> Iterator[str]:
    with watched(folder) as server:
        yield f"http://127.0.0.1:{server.server_port}"


def test_tells_what_the_folder_holds(folder: RunFolder, url: str) -> None:
    run = httpx.get(f"{url}/run.json").json()
    assert (run["name"], run["recipe"], run["epochs"]) == ("my-run", "tiny", 10)
    assert [EpochRecord.model_validate(of) for of in run["history"]["epochs"]] == [record(epoch) for epoch in (1, 2, 3)]
    assert [TrainingEvent.model_validate(of) for of in run["history"]["events"]] == [EVENT]
    assert [picture["epoch"] for picture in run["pictures"]] == [0, 1, 2, 3]
    assert 0 <= run["written_s_ago"] < 600
    for picture in run["pictures"]:
        answer = httpx.get(f"{url}/{picture['url']}")
        assert answer.headers["content-type"] == "image/png"
        assert answer.content == tiny_png(60 * picture["epoch"])


def test_the_game_and_theorys_values_for_it(folder: RunFolder, url: str) -> None:
    run = httpx.get(f"{url}/run.json").json()
    assert run["game"].startswith("G and D played the game of the 2014 paper (non-saturating loss), without penalties ")
    assert Optimum.model_validate(run["optimum"]) == THE_PAPERS
    config = folder.read_config()
    recipe = tiny_recipe("mlp", "epochs=10", "loss=relativistic")
    folder.config_file.write_text(config.model_copy(update={"recipe": recipe}).model_dump_json())
    assert Optimum.model_validate(httpx.get(f"{url}/run.json").json()["optimum"]) == THE_RELATIVISTIC
    hinge = config.model_copy(update={"recipe": tiny_recipe("mlp", "epochs=10", "loss=hinge")})
    folder.config_file.write_text(hinge.model_dump_json())
    assert httpx.get(f"{url}/run.json").json()["optimum"] is None


def test_a_run_that_has_not_ended_its_first_epoch(folder: RunFolder, url: str) -> None:
    folder.stats_file.unlink()
    folder.write_events([])
    assert httpx.get(f"{url}/run.json").json()["history"] == {"epochs": [], "events": []}


def test_a_picture_drawn_again_has_another_address(folder: RunFolder, url: str) -> None:
    before = httpx.get(f"{url}/run.json").json()["pictures"]
    folder.write_grid(3, tiny_png(7))
    after = httpx.get(f"{url}/run.json").json()["pictures"]
    assert after[:3] == before[:3]
    assert after[3]["url"] != before[3]["url"]
    assert httpx.get(f"{url}/{after[3]['url']}").content == tiny_png(7)


def test_head(url: str) -> None:
    got, head = httpx.get(f"{url}/"), httpx.head(f"{url}/")
    assert head.content == b""
    assert head.headers["content-length"] == str(len(got.content))
    assert "default-src 'none'" in head.headers["content-security-policy"]


def test_nothing_changes(folder: RunFolder, url: str) -> None:
    before = contents(folder.path)
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert httpx.request(method, f"{url}/run.json", content=b"{}").status_code == 501
    httpx.get(f"{url}/run.json")
    assert contents(folder.path) == before


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/config.json",
        "/checkpoint.safetensors",
        "/grids/4.png",
        "/grids/-1.png",
        "/grids/../config.json",
        "/viewer/../watch.py",
        "/viewer/%2e%2e/__init__.py",
        "//etc/passwd",
        "/viewer//etc/passwd",
        "/../../../../../../etc/passwd",
    ],
)
def test_no_other_file_is_told(url: str, path: str) -> None:
    connection = http.client.HTTPConnection(url.removeprefix("http://"))  # this client sends a path unchanged
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.status == 404
    assert json.loads(answer.read())["detail"] == "there is nothing at this address; the page is at /"
    connection.close()


def test_every_file_of_the_viewer_is_served(url: str) -> None:
    for file in viewer_dir().rglob("*.*"):
        answer = httpx.get(f"{url}/viewer/{file.relative_to(viewer_dir())}")
        assert answer.content == file.read_bytes()
        assert file.suffix != ".js" or answer.headers["content-type"].startswith("text/javascript")


def test_a_damaged_file_is_told(folder: RunFolder, url: str) -> None:
    folder.stats_file.write_text('{"epoch": 1}\n')
    answer = httpx.get(f"{url}/run.json")
    assert answer.status_code == 500
    assert f"line 1 of {folder.stats_file} is damaged (images: Field required; " in answer.json()["detail"]


@pytest.mark.parametrize("line", ["one", "two"])
def test_a_file_that_is_not_text_or_no_file_is_told(folder: RunFolder, url: str, line: str) -> None:
    whole = folder.stats_file.read_bytes()
    folder.stats_file.write_bytes((b"" if line == "one" else whole.splitlines(keepends=True)[0]) + b"\xff\xfe\n")
    answer = httpx.get(f"{url}/run.json")
    assert answer.status_code == 500
    assert f"line {1 if line == 'one' else 2} of {folder.stats_file} is damaged (" in answer.json()["detail"]
    for file in (folder.stats_file, folder.events_file):
        file.unlink()
        file.mkdir()
        answer = httpx.get(f"{url}/run.json")
        assert answer.status_code == 500
        assert f"{file} cannot be read (Is a directory): " in answer.json()["detail"]
        file.rmdir()
    picture = folder.grid_files()[3]
    picture.unlink()
    picture.mkdir()
    answer = httpx.get(f"{url}/grids/3.png")
    assert answer.status_code == 500
    assert answer.json()["detail"] == f"{picture} cannot be read: Is a directory"


def test_a_client_that_has_gone_leaves_no_traceback(
    folder: RunFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise BrokenPipeError

    with watched(folder) as server:
        with monkeypatch.context() as patch:
            patch.setattr(watch._Handler, "end_headers", gone)
            with pytest.raises(httpx.HTTPError):
                httpx.get(f"http://127.0.0.1:{server.server_port}/")
        assert httpx.get(f"http://127.0.0.1:{server.server_port}/").status_code == 200
    assert capsys.readouterr().err == ""


def test_few_images_are_told_if_samples_are_measured(folder: RunFolder) -> None:
    config = folder.read_config()
    for every, train_images, told in ((0, 36, False), (1, 36, True), (1, 999, True), (1, 1000, False)):
        recipe = config.recipe.model_copy(update={"metrics_every_epochs": every})
        changed = config.model_copy(update={"recipe": recipe, "train_images": train_images})
        folder.config_file.write_text(changed.model_dump_json())
        warning = describe_run(folder)["warning"]
        assert (warning is not None) is told
        assert not told or warning.startswith(f"there are only {train_images} training images to compare with: ")


@needs_chromium
def test_the_page_warns_of_few_images(browser: Browser, folder: RunFolder, url: str) -> None:
    config = folder.read_config()
    with Visit(browser, url) as visit:
        visit.page.goto(url)
        expect(visit.page.locator("#status")).to_contain_text("3 of 10 epochs")
        expect(visit.page.locator("#few")).to_be_hidden()
        recipe = config.recipe.model_copy(update={"metrics_every_epochs": 1})
        folder.config_file.write_text(config.model_copy(update={"recipe": recipe}).model_dump_json())
        expect(visit.page.locator("#few")).to_contain_text("Warning: there are only 36 training images to compare with")


@pytest.mark.parametrize(
    ("host", "address"), [("::1", "http://[::1]:"), ("localhost", "http://localhost:"), ("127.0.0.1", "http://127.0")]
)
def test_addresses(folder: RunFolder, host: str, address: str) -> None:
    if host == "::1":
        try:
            socket.create_server((host, 0), family=socket.AF_INET6).close()
        except OSError:
            pytest.skip("no IPv6 here")
    with watched(folder, host=host) as server:
        url = address_of(server, host=host)
        assert url.startswith(address)
        assert httpx.get(f"{url}/run.json").json()["name"] == "my-run"


@pytest.mark.parametrize(
    ("minutes", "finished"), [(None, False), (0.05, True), (3 / 60, True), (0.0501, False), (0.0499, True)]
)
def test_a_run_whose_minutes_are_over_is_finished(folder: RunFolder, minutes: float | None, finished: bool) -> None:
    """The third epoch ended after 3 s."""
    config = folder.read_config().model_copy(update={"minutes": minutes})
    folder.config_file.write_text(config.model_dump_json())
    told = describe_run(folder)
    assert (told["finished"], told["minutes"]) == (finished, minutes)
    folder.stats_file.unlink()
    assert describe_run(folder)["finished"] is False


def test_a_run_of_all_its_epochs_is_finished(folder: RunFolder) -> None:
    folder.write_stats([record(epoch) for epoch in range(1, 11)])
    assert describe_run(folder)["finished"] is True


@needs_chromium
def test_the_page_does_not_ask_whether_a_finished_run_has_stopped(
    browser: Browser, folder: RunFolder, url: str
) -> None:
    long_ago = time.time() - 3600
    config = folder.read_config()
    for minutes, told in (
        (None, "last file written 60 min ago; has it stopped?"),
        (0.05, "finished after its 0.05 min"),
    ):
        folder.config_file.write_text(config.model_copy(update={"minutes": minutes}).model_dump_json())
        for file in folder.path.iterdir():
            os.utime(file, (long_ago, long_ago))
        with Visit(browser, url) as visit:
            visit.page.goto(url)
            expect(visit.page.locator("#status")).to_contain_text(told)
            expect(visit.page.locator("#status")).to_have_text(re.compile(r"[a-z][.?]$"))


def test_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no config\.json"):
        make_server(RunFolder(tmp_path), host="127.0.0.1", port=0)


def test_command(folder: RunFolder) -> None:
    command = command_line("watch", folder.path, "--port", "0")
    pipe = subprocess.PIPE
    with interruptible():
        process = subprocess.Popen(command, env=environment(), stdout=pipe, stderr=pipe, text=True)
    with process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            line = process.stdout.readline()
            address = next(word for word in line.split() if word.startswith("http://"))
            assert httpx.get(f"{address}/run.json").json()["name"] == "my-run"
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=120) == 0
            assert process.stderr.read() == ""
        finally:
            process.kill()


@needs_chromium
def test_the_page_follows_the_run(browser: Browser, folder: RunFolder, url: str) -> None:
    with Visit(browser, url) as visit:
        page = visit.page
        page.goto(url)
        expect(page.locator("#status")).to_contain_text("Recipe tiny on")
        expect(page.locator("#status")).to_contain_text("3 of 10 epochs")
        expect(page.locator("figcaption")).to_have_text("After epoch 3 of 3")
        expect(page.locator(".chart h3")).to_have_count(5)
        expect(page.locator(".events")).to_contain_text("coverage is <b>0.1</b>")
        expect(page.locator(".chart-readings").first).to_contain_text("0.63")
        folder.write_stats([record(epoch) for epoch in (1, 2, 3, 4)])
        folder.write_grid(4, tiny_png(250))
        expect(page.locator("figcaption")).to_have_text(
            "After epoch 4 of 4"
        )  # a page that shows the newest picture moves on to the next
        expect(page.locator(".chart-readings").first).to_contain_text("0.64")
        page.get_by_label("Epoch").fill("1")
        folder.write_stats([record(epoch) for epoch in (1, 2, 3, 4, 5)])
        folder.write_grid(5, tiny_png(200))
        expect(page.locator("#status")).to_contain_text("5 of 10 epochs")
        expect(page.locator("figcaption")).to_have_text(
            "After epoch 1 of 5"
        )  # a page that shows an older picture stays there
        assert visit.faults == []


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1440, "light")])
def test_the_page_is_for_everyone(browser: Browser, url: str, width: int, scheme: Scheme) -> None:
    with Visit(browser, url, width=width, scheme=scheme) as visit:
        visit.page.goto(url)
        expect(visit.page.locator(".chart h3")).to_have_count(5)
        assert visit.overflow() == 0
        assert visit.serious_findings() == []
        assert visit.faults == []


@pytest.mark.slow
@needs_chromium
def test_a_watcher_that_is_gone(browser: Browser, folder: RunFolder) -> None:
    with watched(folder) as server, Visit(browser, "http://127.0.0.1") as visit:
        visit.page.goto(f"http://127.0.0.1:{server.server_port}")
        expect(visit.page.locator("#status")).to_contain_text("3 of 10 epochs")
        visit.page.route("**/run.json", lambda route: route.abort())
        expect(visit.page.locator("#status.error")).to_have_text(
            "`training watch` does not answer. Is it still running?"
        )
        visit.page.unroute("**/run.json")
        expect(visit.page.locator("#status")).to_contain_text("3 of 10 epochs")


@needs_chromium
def test_a_part_of_the_page_that_does_not_load_is_told(browser: Browser, folder: RunFolder) -> None:
    with watched(folder) as server, Visit(browser, "http://127.0.0.1") as visit:
        visit.page.route("**/viewer/charts.js", lambda route: route.abort())
        visit.page.goto(f"http://127.0.0.1:{server.server_port}")
        expect(visit.page.get_by_role("alert")).to_contain_text("This page could not be loaded completely")
        expect(visit.page.locator("#status")).to_be_hidden()
        expect(visit.page.get_by_role("button", name="Reload the page")).to_be_visible()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
