"""Corrections as requests carry them: by name, or as `POST /api/calibrate` answers them."""

from ...performance.calibration import LEAST, MOST
from .. import choices
from .base import StrictSchema
from .fields import Choice, Integer, Number, Text, TextOrObject, Texts

MOST_NAMES = 64
MOST_MEASUREMENTS = 32


class CoefficientsSchema(StrictSchema):
    """Corrections, as `POST /api/calibrate` answers them under `coefficients`."""

    name = Text("What answers call it.", longest=100, default=None)
    calculation_type = Choice("Of which task.", of=choices.CALCULATIONS, default="inference")
    memory_bandwidth = Number("Times the rate of weights and cache.", least=LEAST, most=MOST, default=1)
    compute = Number("Times the rate of products and attention.", least=LEAST, most=MOST, default=1)
    network = Number("Times the rate of links.", least=LEAST, most=MOST, default=1)
    step_overhead = Number("Times launches and scheduling.", least=LEAST, most=MOST, default=1)
    token_overhead = Number("Times what each sequence adds to a step.", least=LEAST, most=MOST, default=1)
    request_overhead = Number("Times what the server adds to a request.", least=LEAST, most=MOST, default=1)
    gpus = Texts("Where rates were measured: they count on these.", most=MOST_NAMES, required=True)
    backends = Texts("Runtimes or frameworks whose overheads were measured.", most=MOST_NAMES, required=True)
    measurements = Integer("How many there were.", least=0, most=MOST_MEASUREMENTS, default=0)


def calibration_field() -> TextOrObject:
    """`calibration` of the requests that take one."""
    return TextOrObject(
        "The name of a calibration of one's own, or the coefficients of POST /api/calibrate.",
        schema=CoefficientsSchema(),
        default=None,
    )
