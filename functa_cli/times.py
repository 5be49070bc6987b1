"""Times of files in the calendars that CF names, as seconds since 1970-01-01 in the calendar of the file."""

import re

import numpy as np

EPOCH = "seconds since 1970-01-01"
UNITS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}
SINCE = re.compile(
    r"(?P<unit>\w+)\s+since\s+(?P<year>-?\d+)-(?P<month>\d+)-(?P<day>\d+)"
    r"(?:[T ]+(?P<hour>\d+):(?P<minute>\d+)(?::(?P<second>\d+(?:\.\d*)?))?)?"
    r"\s*(?:Z|UTC|(?P<zone>[+-]\d{1,2}):?(?P<rest>\d\d)?)?",
    re.IGNORECASE,
)
NAMES = {"": "standard", "gregorian": "standard", "365_day": "noleap", "366_day": "all_leap"}
MONTHS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
YEARS = {  # days of the months where all years are alike
    "noleap": MONTHS,
    "all_leap": MONTHS + (np.arange(12) == 1),
    "360_day": np.full(12, 30),
}


def moments(times: np.ndarray, units: str, calendar: str) -> tuple[np.ndarray, dict[str, str]]:
    """Times as float64, and their units and calendar: seconds since 1970-01-01 wherever the given ones allow it.

    Months and years are of no fixed length, so times in them are left as they are.
    """
    times, calendar = np.asarray(times, np.float64), calendar.strip().lower()
    calendar = NAMES.get(calendar, calendar)
    said = SINCE.fullmatch(units.strip())
    length = UNITS.get(said["unit"].lower()) if said else None
    if said is None or length is None or calendar not in (*YEARS, "standard", "proleptic_gregorian"):
        return times, {"units": units, "calendar": calendar}
    days = _days(int(said["year"]), int(said["month"]), int(said["day"]), calendar) - _days(1970, 1, 1, calendar)
    start = days * 86400.0 + float(said["hour"] or 0) * 3600 + float(said["minute"] or 0) * 60
    zone = float(said["zone"] or 0) * 3600 + float(said["rest"] or 0) * (-60 if (said["zone"] or "+")[0] == "-" else 60)
    return times * length + start + float(said["second"] or 0) - zone, {"units": EPOCH, "calendar": calendar}


def stamp(time: float, about: dict[str, str]) -> str:
    """A time as part of a name, "2022-05-01T0300"; "time=5" where it is no moment. `about`: as `moments` gives it."""
    if about.get("units") != EPOCH or not abs(time) < 2e11:
        return f"time={time:g}"
    day, second = divmod(round(time), 86400)
    clock = f"T{second // 3600:02d}{second % 3600 // 60:02d}"
    if about["calendar"] not in YEARS:
        return f"{np.datetime64(day, 'D')}{clock}"
    months = YEARS[about["calendar"]]
    year, inside = divmod(day, int(months.sum()))
    ends = np.cumsum(months)
    month = int(np.searchsorted(ends, inside, side="right"))
    return f"{1970 + year:04d}-{month + 1:02d}-{inside - int(ends[month] - months[month]) + 1:02d}{clock}"


def _days(year: int, month: int, day: int, calendar: str) -> int:
    """Days from the beginning of a calendar's year 0, or thereabouts, to a date."""
    if calendar in YEARS:
        months = YEARS[calendar]
        return year * int(months.sum()) + int(months[: month - 1].sum()) + day - 1
    julian = calendar == "standard" and (year, month, day) < (1582, 10, 15)
    year, month = (year, month - 3) if month > 2 else (year - 1, month + 9)  # years that begin in March
    leaps = year // 4 - 2 if julian else year // 4 - year // 100 + year // 400
    return 365 * year + leaps + (153 * month + 2) // 5 + day - 1
