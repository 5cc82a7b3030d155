"""Services that end before they are ready, and what a service is started with."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.pinned_services import started
from harness.service_specs import RequestTemplate, ServiceSpec, ours

NOTHING = RequestTemplate("/")


def test_a_service_that_ends_at_once_is_said_so() -> None:
    service = ServiceSpec("false", ["false"], "/", NOTHING, NOTHING)
    with pytest.raises(RuntimeError, match=r"ended with code 1 before it was ready$"), started(service):
        pass


def test_the_error_quotes_the_log() -> None:
    service = ServiceSpec("sh", ["sh", "-c", "echo no port >&2; false"], "/", NOTHING, NOTHING, log="{scratch}/log")
    with pytest.raises(RuntimeError, match="its log ends with: no port"), started(service):
        pass


def test_a_service_has_its_own_settings_and_none_of_the_person_who_starts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAN_API_KEYS", "a-key")
    service = ServiceSpec("env", ["sh", "-c", "env | grep GAN_ | sort >&2; pwd >&2"], "/", NOTHING, NOTHING)
    service = replace(service.with_settings(workers=2), folder=tmp_path, log=str(tmp_path / "log"))
    with pytest.raises(RuntimeError, match="ended with code 0"), started(service):
        pass
    assert (tmp_path / "log").read_text().splitlines() == ["GAN_WORKERS=2", str(tmp_path)]


def test_settings_are_added_to_those_of_a_service(tmp_path: Path) -> None:
    plain = ours(tmp_path, "tiny")
    more = plain.with_settings(access_log="true", workers=3)
    assert more.environment == plain.environment | {"GAN_ACCESS_LOG": "true", "GAN_WORKERS": "3"}
    assert more.command == plain.command
