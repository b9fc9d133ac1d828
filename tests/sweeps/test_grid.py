"""Points by number."""

import orjson
import pytest

from app.sweeps.grid import Axis, Grid, document_of, grid_of

from .questions import grid


def _every(found: Grid) -> list[dict[str, object]]:
    return [
        {**some.values, **found.point(lane)}
        for some in found.slices(0, found.total)
        for lane in range(some.start, some.stop)
    ]


def test_every_combination_stands_once_and_lanes_turn_fastest() -> None:
    found = Grid(
        "memory_inference",
        {},
        (Axis("batch_size", [1, 2]), Axis("gpu", ["L4", "H100"]), Axis("sequence_length", range(1, 4))),
    )
    points = _every(found)
    assert len(points) == found.total == 12
    assert len({tuple(sorted(point.items())) for point in points}) == 12
    assert points[:4] == [
        {"gpu": "L4", "batch_size": batch, "sequence_length": length}
        for batch, length in ((1, 1), (1, 2), (1, 3), (2, 1))
    ]


def test_an_axis_may_set_several_fields() -> None:
    pairs = [{"input_length": 10, "output_length": 1}, {"input_length": 20, "output_length": 2}]
    found = Grid("memory_inference", {}, (Axis("lengths", pairs, single=False), Axis("batch_size", [1, 2])))
    assert found.lanes == 4
    assert found.varied == ("input_length", "output_length", "batch_size")
    assert _every(found)[2] == {"input_length": 20, "output_length": 2, "batch_size": 1}


def test_places_that_set_different_fields_are_no_lanes() -> None:
    axis = Axis("lengths", [{"input_length": 10}, {"sequence_length": 20}], single=False)
    assert not axis.is_of_lanes


@pytest.mark.parametrize("bounds", [(0, 48), (5, 6), (11, 13), (47, 48)])
def test_slices_cover_what_was_asked(bounds: tuple[int, int]) -> None:
    found = grid()
    slices = list(found.slices(*bounds))
    assert sum(some.stop - some.start for some in slices) == bounds[1] - bounds[0]
    assert all(0 <= some.start < some.stop <= found.lanes for some in slices)


def test_a_grid_survives_being_written_down() -> None:
    found = grid()
    again = grid_of(orjson.loads(orjson.dumps(document_of(found))))
    assert again == found
    assert isinstance(again.axes[-1].places, range)
