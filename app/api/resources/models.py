"""Models: the built-in ones, users' own, and any configuration."""

from typing import Any

from flask import Response
from werkzeug.routing import PathConverter

from ..access import check, writes
from ..limits import limited, spend
from ..links import link, responses
from ..replies import json_reply, language
from ..schemas.answers import ModelAnswer, ModelsAnswer
from ..schemas.others import InspectSchema, ModelQuery, ModelsQuery, RegisterSchema, ReplaceSchema
from .blueprints import Blueprint, service

blueprint = Blueprint(
    "models", __name__, url_prefix="/api/models", description="Models by name and by config.json"
)

_QUERY = ModelQuery()


_ONE = "/api/models/{name}"
_BY_NAME = {"name": "/name"}
_NEXT = {
    "look": link("get", _ONE, _BY_NAME),
    "replace": link("put", _ONE, _BY_NAME),
    "forget": link("delete", _ONE, _BY_NAME),
    "estimate": link("post", "/api/memory/inference", {}, {"model_name": "$response.body#/name"}),
}


class ModelName(PathConverter):
    """A name with or without its owner; the path of another operation is none."""

    regex = "(?!inspect$)[^/].*?"


@blueprint.get("")
@blueprint.arguments(ModelsQuery(), location="query")
@blueprint.response(200, ModelsAnswer())
@blueprint.doc(**responses(200, first=link("get", _ONE, {"name": "/models/0/name"})))
def list_models(query: dict[str, Any]) -> Response:
    """Models by search, family and size; all unless limited."""
    return json_reply(service().models(query, language()))


@blueprint.post("")
@writes
@blueprint.arguments(RegisterSchema())
@blueprint.response(201, ModelAnswer())
@blueprint.doc(**responses(201, **_NEXT))
def register(values: dict[str, Any]) -> Response:
    """Register a model of one's own, from a configuration or from the hub."""
    if values.get("repo_id"):
        spend("hub")
    return json_reply(service().register(values, language()), 201)


@blueprint.post("/inspect")
@limited("inspect")
@blueprint.arguments(_QUERY, location="query")
@blueprint.arguments(InspectSchema())
@blueprint.response(200, ModelAnswer())
def inspect(query: dict[str, Any], values: dict[str, Any]) -> Response:
    """What a configuration or a GGUF file of the hub makes: parameters, cache, layers, tensors if wanted.

    A file of the hub takes what registering a model takes: it lets the service ask the network.
    """
    if "repo_id" not in values:
        return json_reply(service().inspect(values["config"], query, language()))
    check("write")
    spend("hub")
    return json_reply(service().inspect_file(values, query, language()))


@blueprint.get("/<model:name>")
@blueprint.arguments(_QUERY, location="query")
@blueprint.response(200, ModelAnswer())
def get_model(query: dict[str, Any], name: str) -> Response:
    """A model by name, hub id or alias."""
    return json_reply(service().model(name, query, language()))


@blueprint.put("/<model:name>")
@writes
@blueprint.arguments(ReplaceSchema())
@blueprint.response(200, ModelAnswer())
@blueprint.doc(**responses(200, **_NEXT))
def replace(values: dict[str, Any], name: str) -> Response:
    """Give a model of one's own another configuration."""
    return json_reply(service().replace(name, values["config"], language()))


@blueprint.delete("/<model:name>")
@writes
@blueprint.response(204)
def delete(name: str) -> Response:
    """Forget a model of one's own."""
    service().delete(name)
    return Response(status=204)
