"""What the drift check says, and where."""

from dataclasses import dataclass

RULES = {
    "undeclared-key": "a key is read that no schema declares; it would render as an empty string for ever",
    "outer-scope": "a key is, or may be, taken from an outer scope and not from the section around it",
    "optional-unguarded": "a key that may be absent is printed outside of a section that asks for it",
    "object-printed": "a mapping or a list is printed as it is",
    "unclosed-section": "a section is not closed, or another one is; what stands before it would be dropped",
    "malformed-tag": "a tag is not closed, or what is in it is no key",
    "partial": "a partial is included; os-apply-config has no place to take it from",
    "control-file": "a .oac file that os-apply-config would refuse, or that belongs to no template",
    "secret-readable": "a secret is written to a file that everyone on the node may read",
    "not-a-template": "a file in a template tree that was not meant to be installed",
    "duplicate-template": "two elements bring the same file; one would silently replace the other",
    "undeclared-reads": "an executable template reads what its `reads:` lines do not name",
    "stale-reader": "a module is said to read a key that it does not mention",
    "unread-key": "a schema declares a key that nothing reads; setting it would change nothing",
}
"""Each rule's stable identifier, and what is wrong where it fires."""


@dataclass(frozen=True, order=True)
class Finding:
    """One fault; ``file`` as the check was given it, ``line`` and ``column`` from 1."""

    file: str
    line: int
    column: int
    rule: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.file}:{self.line}:{self.column}: {self.rule}: {self.message}{hint}"


def position(text: str, offset: int) -> tuple[int, int]:
    """Return the line and column, from 1, of a character offset."""
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1
