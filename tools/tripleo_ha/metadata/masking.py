"""Keeping secrets out of what is shown: their values are replaced by the path they stand at."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from tripleo_ha.metadata import schema
from tripleo_ha.metadata.findings import Path, dotted

SHORTEST = 6
"""A shorter value would be found in many places where it is none; the checker asks for 16 characters and more."""


def secrets(document: Mapping[str, Any]) -> dict[Path, str]:
    """Return every secret string of a document, by its path."""
    return {path: value for path, value in _strings(document, ()) if schema.is_secret(path)}


def _strings(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _strings(item, (*path, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _strings(item, (*path, index))


class Mask:
    """Replaces secrets in text. Two documents may be given names, to tell their values apart where they differ."""

    def __init__(self, **documents: Mapping[str, Any]) -> None:
        known = {name: secrets(document) for name, document in documents.items()}
        self._words: dict[str, str] = {}
        for name, values in known.items():
            for path, value in values.items():
                same = all(other.get(path) == value for other in known.values())
                word = f"<{dotted(path)}>" if same else f"<{dotted(path)} of {name}>"
                for form in {value, quote(value, safe=""), json.dumps(value)[1:-1]}:
                    if len(form) >= SHORTEST:
                        self._words.setdefault(form, word)

    def __call__(self, text: str) -> str:
        """Return ``text`` without any of the secrets."""
        for secret in sorted(self._words, key=len, reverse=True):
            text = text.replace(secret, self._words[secret])
        return text
