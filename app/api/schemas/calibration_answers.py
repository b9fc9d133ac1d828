"""What answers on calibration look like."""

from marshmallow import fields as f

from .answers import Answer, WarningAnswer


def _said(description: str) -> dict[str, str]:
    return {"description": description}


class MechanismAnswer(Answer):
    """One correction."""

    name = f.String(required=True)
    scope = f.String(required=True, metadata=_said("gpu or backend: where it counts"))
    factor = f.Float(required=True, metadata=_said("Of a rate, more is faster; of an overhead, slower."))
    low = f.Float(required=True, metadata=_said("90% interval."))
    high = f.Float(required=True, metadata=_said("90% interval."))
    corrected = f.Boolean(required=True, metadata=_said("false: no figure says anything, the factor is 1."))
    identified = f.Boolean(required=True, metadata=_said("false: drawn to 1 for want of figures."))
    figures = f.Integer(required=True, metadata=_said("Figures that depend on it."))
    figures_needed = f.Integer(required=True, metadata=_said("More of them that would identify it."))
    missing = f.String(required=True, allow_none=True, metadata=_said("What to measure for it."))


class ResidualAnswer(Answer):
    """One figure of one measurement."""

    measurement = f.Integer(required=True, metadata=_said("Its position, from zero."))
    figure = f.String(required=True)
    corrected = f.Boolean(required=True, metadata=_said("false: compared only."))
    measured = f.Float(required=True)
    before = f.Float(required=True)
    after = f.Float(required=True)
    left_out = f.Float(required=True, allow_none=True, metadata=_said("Predicted by the others alone."))
    error_before = f.Float(required=True, metadata=_said("Predicted over measured, less one."))
    error_after = f.Float(required=True)
    error_left_out = f.Float(required=True, allow_none=True)


class CalibrationAnswer(Answer):
    """Corrections, what is known of each, and how far each figure is off."""

    calculation_type = f.String(required=True)
    name = f.String(required=True, allow_none=True)
    kept = f.Boolean(required=True)
    coefficients = f.Dict(required=True, metadata=_said("What `calibration` of a request takes."))
    mechanisms = f.List(f.Nested(MechanismAnswer), required=True)
    residuals = f.List(f.Nested(ResidualAnswer), required=True)
    summary = f.Dict(required=True, metadata=_said("Medians and largest of the errors' sizes."))
    warnings = f.List(f.Nested(WarningAnswer), required=True)


class CalibrationLine(Answer):
    """A calibration that is kept."""

    name = f.String(required=True)
    calculation_type = f.String(required=True)
    created = f.Float(required=True, metadata=_said("[s] since 1970"))
    coefficients = f.Dict(required=True)


class CalibrationsAnswer(Answer):
    """Those of one owner, by name."""

    calibrations = f.List(f.Nested(CalibrationLine), required=True)
    total = f.Integer(required=True)
