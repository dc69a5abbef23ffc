"""Where things are."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""
RECORDED = Path(os.environ.get('NSRP_RECORDED', ROOT.parent / 'shared/recorded'))
"""The real recordings."""
