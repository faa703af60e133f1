"""Where elements, schemas and service rows are: in a checkout, in a wheel, or in an image."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
CHECKOUT = PACKAGE.parents[1]
IMAGE_SHARE = Path("/usr/share/tripleo-ha")
"""In an image: ``services/NAME.yaml``, one row for each service element baked in, and ``image.json``."""
STATE = Path("/mnt/state")
"""What an image upgrade preserves."""
RUNTIME = Path("/run/tripleo-ha")
"""What a boot forgets: accepted metadata, published facts, what was applied to which process."""


def _shipped(name: str) -> Path:
    if (CHECKOUT / "setup.cfg").exists():
        return CHECKOUT / name
    baked = IMAGE_SHARE / name
    return baked if baked.is_dir() else PACKAGE / f"_{name}"


def elements() -> Path:
    """Return the directory for ELEMENTS_PATH."""
    return _shipped("elements")


def schemas() -> Path:
    """Return the directory of the metadata schemas."""
    return _shipped("schemas")
