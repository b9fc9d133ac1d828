"""Accelerators: what each holds, moves and computes, with sources."""

from typing import Any

from flask import Response

from ..replies import json_reply, language
from ..schemas.answers import GpuAnswer, GpusAnswer
from ..schemas.others import GpusQuery
from .blueprints import Blueprint, service

blueprint = Blueprint("gpus", __name__, url_prefix="/api/gpus", description="Accelerators")


@blueprint.get("")
@blueprint.arguments(GpusQuery(), location="query")
@blueprint.response(200, GpusAnswer())
def list_gpus(query: dict[str, Any]) -> Response:
    """Accelerators by type, vendor and memory."""
    return json_reply(service().gpus(query))


@blueprint.get("/<path:name>")
@blueprint.response(200, GpuAnswer())
def get_gpu(name: str) -> Response:
    """One accelerator by name or alias."""
    return json_reply(service().gpu(name, language()))
