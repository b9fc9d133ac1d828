"""One table of settings."""

import re
from pathlib import Path

import pytest

from app.settings import SETTINGS, Setting, read_settings, shown_settings

ROOT = Path(__file__).parents[1]
SECRETS = {setting.name for setting in SETTINGS if setting.secret}


def test_loopback_by_default_and_nothing_open() -> None:
    settings = read_settings({})
    assert (settings.host, settings.port) == ("127.0.0.1", 5000)
    assert settings.token is None
    assert settings.cors_origins == ()


def test_values_come_from_the_environment_and_from_names() -> None:
    settings = read_settings(
        {"PORT": "8080", "LLM_ESTIMATE_CORS_ORIGINS": "http://a, https://b,"}, host="::1"
    )
    assert (settings.host, settings.port) == ("::1", 8080)
    assert settings.cors_origins == ("http://a", "https://b")


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    assert read_settings({"PORT": "", "HF_ENDPOINT": ""}) == read_settings({})


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("PORT", "many"),
        ("PORT", "70000"),
        ("LLM_ESTIMATE_WORKERS", "-1"),
        ("LLM_ESTIMATE_REQUIRE_TOKEN", "perhaps"),
        ("LLM_ESTIMATE_CORS_ORIGINS", "*"),
        ("LLM_ESTIMATE_CORS_ORIGINS", "https://*.example"),
        ("LLM_ESTIMATE_CORS_ORIGINS", "https://tools.example/"),
        ("LLM_ESTIMATE_CORS_ORIGINS", "tools.example"),
        ("LLM_ESTIMATE_HUB", "elsewhere"),
        ("HF_ENDPOINT", "file:///etc/passwd"),
        ("HF_ENDPOINT", "https://hub.example?x=1"),
        ("LLM_ESTIMATE_HUB_PROXY", "socks5://proxy:1080"),
    ],
)
def test_a_bad_value_names_its_variable(variable: str, text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{variable}={text!r}")):
        read_settings({variable: text})


def test_a_secret_may_stand_in_a_file_and_nothing_else_may(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hush-4711\n")
    source = {"LLM_ESTIMATE_TOKEN_FILE": str(tmp_path / "token"), "PORT_FILE": str(tmp_path / "token")}
    settings = read_settings(source)
    assert (settings.token, settings.port) == ("hush-4711", 5000)
    assert read_settings({**source, "LLM_ESTIMATE_TOKEN": "nearer"}).token == "nearer"


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="REDIS_URL_FILE='/nowhere/redis': No such file"):
        read_settings({"REDIS_URL_FILE": "/nowhere/redis"})


def test_secrets_stand_in_no_representation_and_no_listing() -> None:
    settings = read_settings({}, **dict.fromkeys(SECRETS, "hush-4711"))
    assert "hush" not in repr(settings) + str(settings) + str(shown_settings(settings))
    shown = {each["name"]: each["value"] for each in shown_settings(settings)}
    assert {shown[name] for name in SECRETS} == {"set"}
    assert {each["value"] for each in shown_settings(read_settings({})) if each["secret"]} == {"unset"}


def test_an_error_about_a_secret_does_not_tell_it() -> None:
    with pytest.raises(ValueError, match="HF_ENDPOINT") as error:
        read_settings({"HF_ENDPOINT": "https://me:hush-4711@hub.example"})
    assert "hush" not in str(error.value)


def test_what_looks_like_a_secret_is_one() -> None:
    assert {"token", "hub_token"} <= SECRETS
    for setting in SETTINGS:
        words = setting.variable.casefold().split("_")
        if not setting.secret:
            assert not {"password", "secret", "key"} & set(words)
            assert words[-1] != "token" or setting.read("true") is True


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_in_the_readmes(setting: Setting) -> None:
    assert setting.row() in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    default = f"`{setting.default}`" if setting.default else "无"
    chinese = (ROOT / "README.zh.md").read_text(encoding="utf-8")
    assert f"| `{setting.variable}` | {default} | " in chinese
