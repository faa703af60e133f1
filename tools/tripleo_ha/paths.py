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


def in_checkout() -> bool:
    """Whether this is the package of a checkout, and not an installed one."""
    return (CHECKOUT / "setup.cfg").exists()


def workplace() -> Path:
    """Return where what is made is kept unless somebody says otherwise: at the top of the checkout, or here."""
    return CHECKOUT if in_checkout() else Path.cwd()


def _shipped(name: str) -> Path:
    if in_checkout():
        return CHECKOUT / name
    baked = IMAGE_SHARE / name
    return baked if baked.is_dir() else PACKAGE / f"_{name}"


def elements() -> Path:
    """Return the directory for ELEMENTS_PATH."""
    return _shipped("elements")


def schemas() -> Path:
    """Return the directory of the metadata schemas."""
    return _shipped("schemas")
