"""One table of settings."""

from dataclasses import fields
from pathlib import Path

import pytest

from app.settings import SETTINGS, Setting, Settings, read_settings

ROOT = Path(__file__).parents[1]


def test_table_and_values_agree() -> None:
    assert [setting.name for setting in SETTINGS] == [field.name for field in fields(Settings)]


def test_loopback_by_default_and_nothing_open() -> None:
    settings = read_settings({})
    assert (settings.host, settings.port) == ("127.0.0.1", 5000)
    assert settings.token is None
    assert settings.cors_origins == ()


def test_values_come_from_the_environment_and_from_names() -> None:
    settings = read_settings({"PORT": "8080", "LLM_ESTIMATE_CORS_ORIGINS": "a, b,"}, host="::1")
    assert (settings.host, settings.port, settings.cors_origins) == ("::1", 8080, ("a", "b"))


def test_a_bad_value_names_its_variable() -> None:
    with pytest.raises(ValueError, match="PORT='many'"):
        read_settings({"PORT": "many"})


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_in_the_readme(setting: Setting) -> None:
    variable = setting.variable
    for name in ("README.md", "README.zh.md"):
        assert f"`{variable}`" in (ROOT / name).read_text(encoding="utf-8")
