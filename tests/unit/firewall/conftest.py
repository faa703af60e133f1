"""The tables of services that HAProxy's tests use as well."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "haproxy"))
