"""Dust as it would be in dry air, from what an optical sensor saw and the humidity beside it; pure.

Particles swell in humid air, and a sensor that counts light takes the water for dust. Neither formula has defaults: its
coefficients hold for one kind of sensor and one kind of dust, and must come from a comparison with a reference.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_Positive = Annotated[float, msgspec.Meta(gt=0)]


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    humidity_at_most: Annotated[
        float, msgspec.Meta(gt=0, lt=100, description="Above this humidity (%) there is no corrected value")
    ] = 95
    """Near saturation both formulas say what nobody can check."""


class Koehler(_Strict, frozen=True, kw_only=True, tag_field="formula", tag="koehler"):
    """Growth by kappa-Koehler theory (Crilley et al., Atmos. Meas. Tech. 11, 709, 2018): raw / (1 + x).

    x = (kappa / density) / (100 / humidity - 1)
    """

    kappa: Annotated[_Positive, msgspec.Meta(description="How much the dust takes up water, such as 0.4")]
    density: Annotated[_Positive, msgspec.Meta(description="Of the dry dust in g/cm3, such as 1.65")]

    def dry(self, raw: Floats, humidity: Floats) -> Floats:
        """Corrected values; humidity in % from 0 to below 100."""
        return raw / (1 + self.kappa / self.density * humidity / (100 - humidity))


class Linear(_Strict, frozen=True, kw_only=True, tag_field="formula", tag="linear"):
    """a * raw + b * humidity + c, as the US EPA's for PurpleAir (Barkjohn et al., Atmos. Meas. Tech. 14, 4617)."""

    a: Annotated[_Positive, msgspec.Meta(description="Times the raw value")]
    b: Annotated[float, msgspec.Meta(description="Times the humidity in %")]
    c: Annotated[float, msgspec.Meta(description="In µg/m3")]

    def dry(self, raw: Floats, humidity: Floats) -> Floats:
        """Corrected values; humidity in %."""
        return self.a * raw + self.b * humidity + self.c


Correction = Koehler | Linear


def corrected(correction: Correction, raw: Floats, humidity: Floats) -> Floats:
    """Corrected values; NaN where an input is, and where the humidity is above the highest or cannot be."""
    usable = (humidity >= 0) & (humidity <= correction.humidity_at_most)  # false for NaN
    return np.where(usable, correction.dry(raw, np.where(usable, humidity, 0)), np.nan)
