"""The service where nothing is made easy for it: see "What the tests make easier" in CONTRIBUTING.md."""

import os
import resource
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from harness.service import Service, running
from tests.app.checks import assert_problem, drawn_seven
from tests.permissions import obeying_permissions

KEYS = httpx.Headers({"Authorization": "Bearer schlüssel-ä"}, encoding="utf-8")
NO_COLLECTOR = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
PATHS = [f"/v1/samples?{query}" for query in ("n=20&seed=7", "model=rgb&n=3&seed=1", "model=digits&seed=2&digit=4")]


@pytest.mark.slow
def test_every_setting_together_away_from_home(
    service: Service, models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers with keys, a prefix, CORS, an access log, traces and limits give the pictures of a plain service.

    They run in a folder that cannot be written, with foreign letters and spaces in its path. There is no home, the
    locale is C, the time zone another, and one model may not be read.
    """
    here = tmp_path / "Mein 'Dienst' 数字"
    shutil.copytree(models_dir, here / "modelle ä")
    shutil.copytree(models_dir / "rgb", here / "modelle ä" / "secret")
    (here / "modelle ä" / "secret" / "model.safetensors").chmod(0o000)
    for name in ("HOME", "USER", "LOGNAME", "OMP_NUM_THREADS", "LANG"):
        monkeypatch.delenv(name, raising=False)
    variables = {"LC_ALL": "C", "TZ": "Asia/Kolkata", **NO_COLLECTOR}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    log = here / "service.log"
    log.touch()
    here.chmod(0o555)
    umask = os.umask(0o077)
    try:
        with running(
            here,
            prefix=obeying_permissions(),
            models_dir=here / "modelle ä",
            workers=2,
            api_keys="schlüssel-ä",
            admin_key="another",
            root_path="/gan",
            cors_origins="https://a.example",
            access_log=True,
            log_format="json",
            otel=True,
            max_requests=20,
        ) as strange:
            answers = [strange.client.get(f"/gan{path}", headers=KEYS) for path in PATHS]
            for path, answer in zip(PATHS, answers, strict=True):
                plain = service.client.get(path)
                assert (answer.status_code, answer.content) == (200, plain.content)
                assert answer.headers["content-location"] == f"/gan{plain.headers['content-location']}"
            assert_problem(strange.client.get("/gan/v1/samples"), 401)
            assert_problem(
                strange.client.get("/gan/v1/samples?model=secret", headers=KEYS), 404, text="Permission denied"
            )
            with ThreadPoolExecutor(8) as pool:  # both workers, at once
                pictures = list(pool.map(lambda _: httpx.get(strange.url + PATHS[0], headers=KEYS).content, range(24)))
            assert set(pictures) == {answers[0].content}
            ready = strange.client.get("/gan/readyz").json()
            assert ready["broken"]["secret"]
            said = log.read_text(encoding="utf-8")
            assert "Traceback" not in said
            assert '"path": "/' in said
    finally:
        os.umask(umask)
        here.chmod(0o755)


WITHOUT_FILES = ["/v1/samples?n=3&seed=7", "/v1/samples?n=3&format=npz", "/v1/samples?n=3&format=zip"]
WITHOUT_FILES += [f"/v1/interpolations?seeds=1,2&format={form}" for form in ("png", "gif", "webp", "json")]
WITHOUT_FILES += ["/v1/models", "/v1/models/conv/history", "/healthz", "/readyz", "/metrics", "/openapi.json"]
OF_FILES = ["/", "/docs", "/redoc", "/static/icon.svg", "/static/viewer/viewer.css", "/v1/models/conv/timeline/0.png"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can change the limit of another process")
def test_no_file_descriptor_left(models_dir: Path, tmp_path: Path) -> None:
    """A fresh service answers on a connection that is open: nothing has to be imported first."""
    with running(tmp_path, models_dir=models_dir) as fresh:
        client, process = fresh.client, fresh.process.pid
        assert client.get("/healthz").status_code == 200
        before = resource.prlimit(process, resource.RLIMIT_NOFILE)
        resource.prlimit(process, resource.RLIMIT_NOFILE, (0, before[1]))
        for path in OF_FILES:
            problem = assert_problem(client.get(path), 503, text="no file descriptor left")
            assert problem["type"] == "urn:gan:problem:no-files-left"
        for path in WITHOUT_FILES:
            assert client.get(path).status_code == 200, path
        upload = {"files": ("x.png", drawn_seven())}
        scored = client.post("/v1/score?explain=true&steps=true", files=upload)
        assert scored.status_code == 200
        assert client.post("/v1/score", files={"files": ("x.gif", b"GIF89a nonsense")}).status_code == 415
        large = client.post("/v1/score", files={"files": ("x.png", bytes(3_000_000))})  # it is kept in a file
        assert_problem(large, 503, text="no file descriptor left")
        resource.prlimit(process, resource.RLIMIT_NOFILE, before)
        for path in OF_FILES:
            assert client.get(path).status_code == 200, path
        assert "Traceback" not in fresh.log.read_text()
