"""One file a resource; a handler reads what it needs, asks the service and replies."""

from flask_smorest import Blueprint

from . import (
    accuracy,
    analytics,
    calibration,
    gpus,
    health,
    history,
    memory,
    metrics,
    models,
    options,
    performance,
    recommend,
    settings,
    shares,
    sweeps,
    v1,
)

BLUEPRINTS: tuple[Blueprint, ...] = (
    health.blueprint,
    models.blueprint,
    gpus.blueprint,
    options.blueprint,
    memory.blueprint,
    performance.blueprint,
    recommend.blueprint,
    calibration.blueprint,
    v1.blueprint,
    accuracy.blueprint,
    metrics.blueprint,
    settings.blueprint,
    history.blueprint,
    shares.blueprint,
    sweeps.blueprint,
    analytics.blueprint,
)
