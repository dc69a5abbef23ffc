"""Reads what localizing a bag leaves behind."""

import csv
from pathlib import Path


def rows_of(out: Path) -> list[dict[str, str]]:
    """Read the table of localized windows in a folder."""
    with (out / 'localized.csv').open() as file:
        return list(csv.DictReader(file))
