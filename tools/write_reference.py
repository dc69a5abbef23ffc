#!/usr/bin/env python3
"""
Write the pages of docs/ that are made of the code: reasons for skipping, and the map of modules.

    .venv/bin/python tools/write_reference.py

A test sees that they are up to date.
"""

import ast
from itertools import groupby
from pathlib import Path
import sys

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from nsrp_ros.core.skip_reasons import SkipReason  # noqa: E402, I100

ARCHITECTURE = ROOT / 'docs/explanation/architecture.md'
SKIP_REASONS = ROOT / 'docs/reference/skip_reasons.md'
MODULES = '\n## nsrp_ros\n'
"""Where in the architecture page the map of modules begins."""


def skip_reasons() -> str:
    """Return the page of reasons."""
    rows = ''.join(
        f'| `{reason}` | {reason.meaning} | {"a window" if reason.of_window else ""} '
        f'| {"" if reason.is_fault else "no fault"} |\n' for reason in SkipReason)
    return ('# Why something was skipped\n\n'
            'Made from `nsrp_ros/core/skip_reasons.py` by `tools/write_reference.py`. Nodes count '
            'by these words in\n`/diagnostics` (`skipped: <reason>`), `localize_bag` writes them '
            'into the column `skipped` of localized.csv.\n\n'
            '| reason | what happened | counts | |\n| --- | --- | --- | --- |\n' + rows)


def architecture() -> str:
    """Return the architecture page: its text as it is, its map of modules made anew."""
    page = ARCHITECTURE.read_text().split(MODULES)[0] + '\n'
    paths = sorted((ROOT / 'nsrp_ros').rglob('*.py'), key=lambda p: (str(p.parent), p.name))
    for folder, members in groupby(paths, key=lambda p: p.parent):
        summaries = {path.name: summary(path) for path in members}
        page += f'## {folder.relative_to(ROOT)}\n\n'
        own = summaries.pop('__init__.py')
        if folder.name != 'nsrp_ros':
            page += f'{own}\n\n'
        page += '| module | |\n| --- | --- |\n' if summaries else ''
        page += ''.join(f'| `{name}` | {text.rstrip(".")} |\n'
                        for name, text in summaries.items()) + '\n'
    return page.rstrip('\n') + '\n'


def summary(path: Path) -> str:
    """Return the first sentence of a module's docstring."""
    return (ast.get_docstring(ast.parse(path.read_text())) or '').split('\n\n')[0].replace(
        '\n', ' ')


def main() -> None:
    """Write the pages."""
    SKIP_REASONS.write_text(skip_reasons())
    ARCHITECTURE.write_text(architecture())


if __name__ == '__main__':
    main()
