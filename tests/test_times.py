"""Times of files in seconds since 1970, in each calendar."""

import numpy as np
import pytest

from functa_cli.times import EPOCH, moments, stamp


@pytest.mark.parametrize(
    ("value", "units", "calendar", "name"),
    [
        (0, "hours since 1900-01-01", "gregorian", "1900-01-01T0000"),
        (1063863, "hours since 1900-01-01 00:00:0.0", "standard", "2021-05-13T1500"),
        (1.5, "days since 2000-02-28", "proleptic_gregorian", "2000-02-29T1200"),
        (90, "minutes since 2000-01-01T06:00:00Z", "", "2000-01-01T0730"),
        (0, "seconds since 2000-01-01 00:00 +02:00", "standard", "1999-12-31T2200"),
        (0, "seconds since 2000-01-01 00:00 -0230", "standard", "2000-01-01T0230"),
        (738000, "days since 1-1-1", "standard", "2021-07-28T0000"),  # the calendars' ten days in 1582 count
        (738000, "days since 0001-01-01", "proleptic_gregorian", "2021-07-30T0000"),
        (1, "days since 2000-02-28", "noleap", "2000-03-01T0000"),
        (1, "days since 2001-02-28", "all_leap", "2001-02-29T0000"),
        (59, "days since 2000-01-01", "360_day", "2000-02-30T0000"),
        (360, "days since 2000-01-01 18:30:00", "360_day", "2001-01-01T1830"),
        (364, "days since 1999-01-01", "365_day", "1999-12-31T0000"),
    ],
)
def test_moments_have_names(value, units, calendar, name):
    found, about = moments(np.array([value]), units, calendar)
    assert about["units"] == EPOCH
    assert stamp(float(found[0]), about) == name


def test_the_same_moment_from_another_reference_is_the_same_number():
    for calendar in ("standard", "noleap", "360_day"):
        first, about = moments(np.array([365.0]), "days since 2000-01-01", calendar)
        same, also = moments(np.array([365.0 * 24 - 12]), "hours since 2000-01-01 12:00", calendar)
        assert about == also
        np.testing.assert_array_equal(first, same)


@pytest.mark.parametrize("units", ["months since 1979-01-01", "day as %Y%m%d.%f", "", "K", "hours since then"])
def test_times_without_a_fixed_length_stay_as_they_are(units):
    found, about = moments(np.array([5, 7]), units, "")
    assert found.tolist() == [5, 7]
    assert about["units"] == units
    assert stamp(5.0, about) == "time=5"
    assert stamp(float("nan"), {"units": EPOCH, "calendar": "standard"}) == "time=nan"


def test_dates_agree_with_an_independent_calendar():
    for year, month, day in ((1582, 10, 15), (1900, 2, 28), (1999, 12, 31), (2000, 2, 29), (2100, 3, 1)):
        wanted = np.datetime64(f"{year:04d}-{month:02d}-{day:02d}", "s").astype(float)
        for calendar in ("standard", "proleptic_gregorian"):
            found, _ = moments(np.zeros(1), f"days since {year}-{month}-{day}", calendar)
            assert found[0] == wanted
