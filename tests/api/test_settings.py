"""The settings as the service tells them to those who run it."""

from app.settings import SETTINGS

from .conftest import AppMaker
from .shape import check_error


def test_every_setting_with_its_value_and_no_secret(make_app: AppMaker) -> None:
    client = make_app(token="hush-4711", database_url=None, hub_token="hush-4712", threads=7).test_client()
    reply = client.get("/api/config/settings", headers={"Authorization": "Bearer hush-4711"})
    found = {each["name"]: each for each in reply.get_json()["settings"]}
    assert list(found) == [each.name for each in SETTINGS]
    assert found["threads"]["value"] == 7
    assert found["threads"]["variable"] == "LLM_ESTIMATE_THREADS"
    assert (found["token"]["value"], found["database_url"]["value"]) == ("set", "unset")
    assert "hush" not in reply.get_data(as_text=True)


def test_only_those_who_run_it_see_them(make_app: AppMaker) -> None:
    client = make_app(host="0.0.0.0", token="s3cret").test_client()
    check_error(client.get("/api/config/settings"), 401)
    assert make_app().test_client().get("/api/config/settings").status_code == 200
