"""From a request to a grid: axes read, every listed value checked once, names that only we know resolved."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from ..errors import InvalidRequest, Problem, UnknownName, invalid
from ..registry.models import ModelEntry
from ..service.lookup import Lookup
from .grid import Axis, Grid, Values

Check = Callable[[Mapping[str, Any]], Values]
Resolve = Callable[[Values], Values]

MOST_LISTED: Final = 10_000  # values written out, over all axes; a range counts as two
# Axes that set several fields at each place; every other axis is called as the field that it sets.
GROUPS: Final = ("model", "layout", "lengths", "variant")
NAMES: Final = frozenset({"gpu", "model_name"})
RANGE: Final = ("from", "to", "step", "times")
# What would change nothing in a row, or cannot vary by itself.
WITHOUT_EFFECT: Final = ("solve_for", "explain", "unit", "top_ops", "num_gpus")


def grid_of_request(asked: Values, check: Check, lookup: Lookup) -> Grid:
    """The grid of a request, all of it checked; raises `InvalidRequest`.

    `asked` has `calculation`, `vary` and perhaps `fixed`; `check` turns the fields of one point as they came
    into checked values. What is wrong only with some combination (a layout that a model cannot take) is found
    at that point, not here.
    """
    fixed, vary = asked.get("fixed", {}), asked["vary"]
    if not vary:
        raise invalid("vary", "is_missing")
    axes = [_axis(name, given) for name, given in vary.items()]
    _refuse_idle([*fixed, *(name for axis in axes for name in axis.names)])
    _refuse_twice(fixed, axes)
    if sum(_written(axis) for axis in axes) > MOST_LISTED:
        raise invalid("vary", "sweep_too_many_values", most=MOST_LISTED)
    firsts = {name: value for axis in axes for name, value in axis.fields(0).items()}
    base = check({**fixed, **firsts})
    checked = tuple(_resolved(_checked(axis, {**fixed, **firsts}, base, check), lookup) for axis in axes)
    common = Axis("variant", [{name: value for name, value in base.items() if name in fixed}], single=False)
    return Grid(asked["calculation"], dict(_resolved(common, lookup).fields(0)), checked)


def _axis(name: str, given: Any) -> Axis:
    if name not in GROUPS:
        return Axis(name, _range(name, given) if _is_range(given) else _listed(name, given))
    places = [_group(name, place, value) for place, value in enumerate(_listed(name, given))]
    return Axis(name, places, single=False)


def _listed(name: str, given: Any) -> list[Any]:
    if not isinstance(given, list) or not given:
        raise invalid(f"vary.{name}", "sweep_not_an_axis", range=", ".join(RANGE))
    return given


def _group(name: str, place: int, value: Any) -> Mapping[str, Any]:
    if name == "model" and isinstance(value, str):
        return {"model_name": value}
    if not isinstance(value, Mapping) or not value:
        raise invalid(f"vary.{name}[{place}]", "not_object")
    return value


def _is_range(given: Any) -> bool:
    return isinstance(given, Mapping) and "from" in given and "to" in given


def _range(name: str, given: Mapping[str, Any]) -> Sequence[int]:
    """Integers from one to another by steps that add [1] or multiply."""
    low, high, step = given["from"], given["to"], given.get("step", 1)
    times = given.get("times")
    whole = all(type(value) is int for value in given.values()) and set(given) <= set(RANGE)
    if not whole or ("step" in given and "times" in given) or not 0 <= low <= high or step < 1:
        raise invalid(f"vary.{name}", "sweep_not_a_range")
    if times is None:
        return range(low, high + 1, step)
    if times < 2 or low < 1:
        raise invalid(f"vary.{name}", "sweep_not_a_range")
    return list(_powers(low, high, times))


def _powers(low: int, high: int, times: int) -> Iterator[int]:
    while low <= high:
        yield low
        low *= times


def _written(axis: Axis) -> int:
    return 2 if isinstance(axis.places, range) else len(axis)


def _refuse_idle(names: Sequence[str]) -> None:
    for name in names:
        if name in WITHOUT_EFFECT:
            raise invalid(name, "sweep_idle_field")


def _refuse_twice(fixed: Mapping[str, Any], axes: Sequence[Axis]) -> None:
    seen = set(fixed)
    for axis in axes:
        for name in axis.names:
            if name in seen:
                raise invalid(f"vary.{axis.name}", "sweep_field_twice", name=name)
        seen.update(axis.names)


def _checked(axis: Axis, raw: Mapping[str, Any], base: Values, check: Check) -> Axis:
    """The axis with every value as the service uses it; of a range the ends are looked at."""
    without = {name: value for name, value in raw.items() if name not in axis.names}
    first = {name: base[name] for name in axis.fields(0)}
    if isinstance(axis.places, range):
        for place in {0, len(axis) - 1} - {0}:
            _check_one(axis, place, without, check)
        return axis
    others = [_check_one(axis, place, without, check) for place in range(1, len(axis))]
    found = [first, *others]
    return Axis(axis.name, [each[axis.name] for each in found] if axis.single else found, axis.single)


def _check_one(axis: Axis, place: int, without: Mapping[str, Any], check: Check) -> Values:
    asked = axis.fields(place)
    try:
        values = check({**without, **asked})
    except InvalidRequest as error:
        path = f"vary.{axis.name}[{place}]"
        raise InvalidRequest(
            error.message, [Problem(path, each.message) for each in error.problems]
        ) from error
    return {name: values[name] for name in asked}


def _resolved(axis: Axis, lookup: Lookup) -> Axis:
    """The axis with names as they are written here, and with users' models as their configurations.

    Whoever computes has only the built-in ones. A name that is not there stays: each of its points says so.
    """
    if NAMES.isdisjoint(axis.names):
        return axis
    found = [_named(axis.fields(place), lookup) for place in range(len(axis))]
    if axis.single and all(axis.name in each for each in found):
        return Axis(axis.name, [each[axis.name] for each in found])
    return Axis("model" if axis.single else axis.name, found, single=False)


def _named(values: Values, lookup: Lookup) -> Values:
    found = dict(values)
    if isinstance(gpu := found.get("gpu"), str):
        with suppress(UnknownName):
            found["gpu"] = lookup.gpu(gpu).accelerator.name
    if (name := found.get("model_name")) is not None:
        with suppress(UnknownName):
            entry = lookup.named(name).entry
            found |= _model(entry)
            if not entry.builtin:
                del found["model_name"]
    return found


def _model(entry: ModelEntry) -> Values:
    if entry.builtin:
        return {"model_name": entry.name}
    return {"config": {**entry.config, "_name_or_path": entry.name}}
