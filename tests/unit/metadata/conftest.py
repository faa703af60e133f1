"""What the tests of the metadata checker share: a good document, and the corpus of bad ones."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# How long one example takes says more about what else the machine does than about the code.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")

CORPUS = Path(__file__).parents[2] / "corpus"
_GOOD = json.loads((CORPUS / "good.json").read_text())


@pytest.fixture
def good() -> dict[str, Any]:
    """Return a document of one of three nodes in which every section stands and nothing is wrong."""
    return copy.deepcopy(_GOOD)


@pytest.fixture
def corpus() -> Path:
    """Return the directory of the corpus."""
    return CORPUS
