"""What the files of a deployment are held against: settings, routes, extras."""

import tomllib
from pathlib import Path
from typing import Any, Final

import yaml

from app.api.application import create_app
from app.settings import SETTINGS, read_settings

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"
VARIABLES: Final = {setting.variable for setting in SETTINGS} | {
    f"{setting.variable}_FILE" for setting in SETTINGS if setting.secret
}


def routes(folder: Path) -> set[str]:
    """The paths that the service answers on."""
    app = create_app(read_settings({}, data_folder=folder, access_log=False))
    return {rule.rule for rule in app.url_map.iter_rules()}


def extras() -> set[str]:
    """What may stand in the brackets of `pip install "llm-estimate[…]"`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return set(project["optional-dependencies"])


def documents(path: Path) -> list[dict[str, Any]]:
    """The documents of a YAML file."""
    return [each for each in yaml.safe_load_all(path.read_text(encoding="utf-8")) if each]


def is_pinned(image: str) -> bool:
    """Whether an image names a version, not just a name or `latest`."""
    _, _, tag = image.rpartition("/")[2].partition(":")
    return any(character.isdigit() for character in tag)
