"""
Absorption of sound in air.

    ISO 9613-1:1993, "Acoustics - Attenuation of sound during propagation outdoors - Part 1:
    Calculation of the absorption of sound by the atmosphere".
"""

import math

NEPERS_PER_DB = math.log(10) / 20


def air_attenuation(frequency: float, celsius: float = 20.0, humidity: float = 50.0) -> float:
    """
    Compute the attenuation of a pure tone in air at one atmosphere, by ISO 9613-1 (eqs. 3 to 5).

    Parameters
    ----------
    frequency : float
        Hertz.
    celsius : float
        Temperature, degrees Celsius.
    humidity : float
        Relative humidity, per cent.

    Returns
    -------
    float
        Decibels per metre.

    """
    kelvin = celsius + 273.15
    temperature_ratio = kelvin / 293.15
    saturation = 10 ** (4.6151 - 6.8346 * (273.16 / kelvin) ** 1.261)  # atmospheres
    vapour = humidity * saturation  # molar concentration, per cent
    # Oxygen and nitrogen absorb most at the relaxation frequencies of their molecules.
    oxygen = 24 + 4.04e4 * vapour * (0.02 + vapour) / (0.391 + vapour)
    nitrogen = temperature_ratio ** -0.5 * (9 + 280 * vapour * math.exp(
        -4.170 * (temperature_ratio ** (-1 / 3) - 1)))
    relaxation = temperature_ratio ** -2.5 * (
        0.01275 * math.exp(-2239.1 / kelvin) / (oxygen + frequency ** 2 / oxygen)
        + 0.1068 * math.exp(-3352.0 / kelvin) / (nitrogen + frequency ** 2 / nitrogen))
    return 8.686 * frequency ** 2 * (1.84e-11 * temperature_ratio ** 0.5 + relaxation)
