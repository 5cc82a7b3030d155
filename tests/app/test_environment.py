"""Which variables are settings: those of Kubernetes are passed over, any other unknown or empty one is a mistake."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.environment import DotEnvError
from app.middleware.auth import hash_key
from app.settings import Settings, mistakes_of
from tests.app.test_settings import start_and_fail


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the person who runs this, and no `.env`."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.upper().startswith("GAN_")]:
        monkeypatch.delenv(name)


def told() -> str:
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert "secret" not in str(caught.value)
    (line,) = mistakes_of(caught.value)
    return line


@pytest.mark.parametrize("place", ["environment", ".env"])
@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("GAN_API_KEY", "secret", "GAN_API_KEY: there is no such setting; the nearest is GAN_API_KEYS"),
        ("gan_max_request", "9", "GAN_MAX_REQUEST: there is no such setting; the nearest is GAN_MAX_REQUESTS"),
        ("GAN_X", "secret", "GAN_X: there is no such setting; the nearest is GAN_"),
        ("GAN_PORTS", "tcp://10.0.0.1:80", "GAN_PORTS: there is no such setting"),
        ("GAN_API_KEYS", ",", "GAN_API_KEYS: there is nothing between the commas"),
        ("GAN_API_KEYS", "", "GAN_API_KEYS: it is empty"),
        ("GAN_HOST", "", "GAN_HOST: it is empty"),
        ("GAN_HOST", "  ", "GAN_HOST: it is empty"),
        ("GAN_ADMIN_KEY", "", "GAN_ADMIN_KEY: it is empty"),
        ("GAN_ROOT_PATH", "", "GAN_ROOT_PATH: it is empty"),
        ("GAN_CORS_ORIGINS", " , ", "GAN_CORS_ORIGINS: there is nothing between the commas"),
        ("GAN_CORS_ORIGINS", "a.example", "GAN_CORS_ORIGINS: an origin has a scheme"),
        ("GAN_CORS_ORIGINS", "https://a.example/page", "GAN_CORS_ORIGINS: an origin has a scheme"),
        ("GAN_CORS_ORIGINS", "https://*.example", "GAN_CORS_ORIGINS: an origin has a scheme"),
    ],
)
def test_a_variable_that_says_nothing_is_an_error(
    place: str, name: str, text: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place == "environment":
        monkeypatch.setenv(name, text)
    else:
        Path(".env").write_text(f"OTHER=\n{name}='{text}'\n")
    assert told().startswith(said)


def test_a_name_without_a_value_in_dot_env_is_an_error() -> None:
    Path(".env").write_text("GAN_API_KEYS\n")
    with pytest.raises(
        DotEnvError, match=r"^\.env: GAN_API_KEYS stands there without a value; write GAN_API_KEYS=value"
    ):
        Settings()


def test_the_home_folder_of_a_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A shell does not expand the `~` of a variable's value in `.env`, in quotes or in `compose.yaml`."""
    monkeypatch.setenv("HOME", str(tmp_path))
    Path(".env").write_text("GAN_MODELS_DIR=~/models\n")
    assert Settings().models_dir == tmp_path / "models"
    Path(".env").write_text("GAN_MODELS_DIR=~nobody-has-this-name/models\n")
    assert told().startswith(
        "GAN_MODELS_DIR: there is no home folder for ~nobody-has-this-name/models; write the whole"
    )


def test_a_key_in_dot_env_is_taken_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER", "x")
    Path(".env").write_text("GAN_API_KEYS=a${OTHER}$OTHER\n")
    assert Settings().api_keys == (hash_key("a${OTHER}$OTHER"),)


def test_a_byte_order_mark_hides_nothing() -> None:
    Path(".env").write_bytes(b"\xef\xbb\xbfGAN_API_KEY=secret\n")
    assert told().startswith("GAN_API_KEY: there is no such setting")


@pytest.mark.parametrize("service", ["GAN", "GAN_SERVICE", "GAN_REDIS"])
def test_variables_of_kubernetes_are_passed_over(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """These are the variables that a pod gets for a Service with the ports 80 (`http`) and 53 over UDP."""
    for name, text in {
        "SERVICE_HOST": "10.0.0.1",
        "SERVICE_PORT": "80",
        "SERVICE_PORT_HTTP": "80",
        "PORT": "tcp://10.0.0.1:80",
        "PORT_80_TCP": "tcp://10.0.0.1:80",
        "PORT_80_TCP_PROTO": "tcp",
        "PORT_80_TCP_PORT": "80",
        "PORT_80_TCP_ADDR": "10.0.0.1",
        "PORT_53_UDP": "udp://10.0.0.1:53",
    }.items():
        monkeypatch.setenv(f"{service}_{name}", text)
    assert Settings().port == 8000
    Path(".env").write_text("GAN_PORT=9000\n")
    assert Settings().port == 9000


def test_a_port_that_is_no_url_of_kubernetes_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAN_PORT", "http://10.0.0.1:80")
    assert told().startswith("GAN_PORT: ")


def test_the_environment_wins_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("gan_port=9000\nexport GAN_API_KEYS=a,b\n")
    monkeypatch.setenv("Gan_Port", "9001")
    settings = Settings()
    assert (settings.port, len(settings.api_keys)) == (9001, 2)


def test_origins_are_those_that_browsers_send(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAN_CORS_ORIGINS", "https://A.example/, http://b.example:80,https://c.example:8443/,*,null")
    assert Settings().cors_origins == ("https://a.example", "http://b.example", "https://c.example:8443", "*", "null")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"GAN_PORT=1\nGAN_DEVICE=\xff\n", ".env: line 2 is not UTF-8"),
        (b"\xff\xfeG\0A\0N\0", ".env: line 1 is not UTF-8"),
        (b"# a note\nGAN_API_KEYS: a\n", ".env: line 2 is no setting"),
    ],
)
def test_a_bad_dot_env_is_told(content: bytes, said: str) -> None:
    Path(".env").write_bytes(content)
    with pytest.raises(DotEnvError, match=said):
        Settings()


def test_a_dot_env_that_is_a_folder_is_told() -> None:
    Path(".env").mkdir()
    with pytest.raises(DotEnvError, match="it cannot be read"):
        Settings()


def test_the_start_ends_with_one_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"GAN_DEVICE=\xff\n")
    ended = start_and_fail(tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "error: .env: line 1 is not UTF-8; save the file as UTF-8\n"
