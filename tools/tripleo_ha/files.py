"""Replacing files so that a reader sees the old content or the new, never a part."""

import os
import tempfile
from pathlib import Path


def write_file(path: Path, content: str | bytes, *, mode: int = 0o600, owner: tuple[int, int] | None = None) -> bool:
    """Replace a file atomically, unless it already has this content; return whether it was written.

    :param owner: uid and gid; by default root's.
    """
    data = content.encode() if isinstance(content, str) else content
    if path.exists() and path.read_bytes() == data and (path.stat().st_mode & 0o777) == mode:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            os.fchmod(stream.fileno(), mode)
            if owner:
                os.fchown(stream.fileno(), *owner)
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return True
