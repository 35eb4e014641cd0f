"""Files that exist only whole: written aside, synced, renamed."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from chiasm.errors import ChiasmError


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that at every moment the old content or the new one is there, never a part.

    Raises:
        ChiasmError: where the folder cannot be written or the disk is full; what was there stays as it was.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True) if path.parent.is_dir() else None
        reason = error.strerror or str(error)
        raise ChiasmError(f"'{path}' cannot be written: {reason}; nothing that was there is lost") from error
