"""Air absorption agrees with the standard's own table."""

from nsrp_ros.simulation.acoustics.air_absorption import air_attenuation
import pytest

# ISO 9613-2:1996, table 2: 20 degrees Celsius and 70 % humidity, decibels a kilometre.
TABLE = {125: 0.3, 250: 1.1, 500: 2.8, 1000: 5.0, 2000: 9.0, 4000: 22.9, 8000: 76.6}


@pytest.mark.parametrize(('frequency', 'per_km'), TABLE.items())
def test_attenuation_matches_the_iso_table(frequency, per_km):
    found = 1000 * air_attenuation(frequency, celsius=20.0, humidity=70.0)
    assert found == pytest.approx(per_km, rel=0.02, abs=0.05)


def test_dry_air_absorbs_more_at_4_khz():
    assert air_attenuation(4000.0, humidity=20.0) > 1.5 * air_attenuation(4000.0, humidity=50.0)
