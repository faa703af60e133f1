"""Which metadata a mustache template reads, and what is wrong with how it does so."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field

from tripleo_ha.templates.mustache import Parsed, Tag, parse
from tripleo_ha.templates.shape import COMPOUND, Path, Shape, Tree


@dataclass(frozen=True)
class Read:
    """One place where the metadata is read; ``whole`` tells that all that is below is read with it."""

    path: Path
    offset: int
    secret: bool = False
    whole: bool = False


@dataclass(frozen=True)
class Fault:
    """One finding without its file: a rule's identifier, an offset into the text, a message and a hint."""

    rule: str
    offset: int
    message: str
    hint: str = ""


@dataclass
class Reads:
    """What one template reads, and its faults."""

    reads: list[Read] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def analyse(text: str, tree: Tree) -> Reads:
    """Follow every tag of a template through the scopes that its sections open."""
    parsed = parse(text)
    walker = _Walker(tree)
    walker.found.faults += _problems(parsed)
    walker.walk(parsed.tags, (tree.root,), frozenset())
    return walker.found


def _problems(parsed: Parsed) -> Iterable[Fault]:
    return [Fault(problem.rule, problem.offset, problem.message) for problem in parsed.problems]


Scopes = tuple[Shape, ...]
Known = frozenset[Path]
"""Paths that the sections around a tag have found to be there."""


class _Walker:
    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.found = Reads()

    def walk(self, tags: Iterable[Tag], scopes: Scopes, known: Known) -> None:
        for tag in tags:
            if tag.kind == "partial":
                self._fault("partial", tag, f"{tag.key} would have to be a template of its own")
            elif tag.kind == "variable":
                self._variable(tag, scopes, known)
            else:
                self._section(tag, scopes, known)

    def _variable(self, tag: Tag, scopes: Scopes, known: Known) -> None:
        steps = self._resolve(tag, scopes, known)
        if not steps:
            return
        shape = steps[-1]
        if shape.types & COMPOUND:
            self._fault("object-printed", tag, f"{dotted(shape.path)} is no single value", "read what is in it")
        if missing := next((step for step in steps if not self._present(step, known)), None):
            name = tag.key if missing is shape else dotted(missing.path)
            hint = f"put it in {{{{#{name}}}}}…{{{{/{name}}}}}, or give the key a default"
            self._fault("optional-unguarded", tag, f"{dotted(missing.path)} may be absent", hint)
        self.found.reads.append(Read(shape.path, tag.offset, secret=shape.secret))

    def _section(self, tag: Tag, scopes: Scopes, known: Known) -> None:
        steps = self._resolve(tag, scopes, known)
        if not steps:
            # What is in it cannot be judged: say the one fault, not a dozen that follow from it.
            return
        shape = steps[-1]
        item = shape.item()
        inner = item or shape
        whole = not (inner.types & COMPOUND)
        self.found.reads.append(Read(shape.path, tag.offset, whole=whole))
        if tag.kind == "inverted":
            self.walk(tag.children, scopes, known)
        else:
            there = {shape.path[:length] for length in range(1, len(shape.path) + 1)}
            there |= {(needed,) for needed in self.tree.needs.get(shape.path[0] if shape.path else "", ())}
            self.walk(tag.children, (*scopes, inner), known | there)

    def _resolve(self, tag: Tag, scopes: Scopes, known: Known) -> list[Shape]:
        """Return the shapes along a tag's key, or nothing when it is not declared (then that is said)."""
        if tag.key == ".":
            return [scopes[-1]]
        first, *rest = tag.key.split(".")
        shape = self._first(tag, first, bool(rest), scopes, known)
        steps = [shape] if shape else []
        for key in rest if shape else ():
            below = steps[-1].child(key)
            if below is None:
                self._undeclared(tag, f"{dotted(steps[-1].path)}.{key}", key, steps[-1].names())
                return []
            steps.append(below)
        return steps

    def _first(self, tag: Tag, key: str, goes_on: bool, scopes: Scopes, known: Known) -> Shape | None:
        # A scalar's scope has no keys, so it hides none.
        mappings = [scope for scope in scopes if "object" in scope.types]
        holders = [scope for scope in reversed(mappings) if scope.child(key)]
        if not holders:
            self._undeclared(tag, key, key, [name for scope in mappings for name in scope.names()])
            return None
        holder = holders[0]
        shape = holder.child(key)
        assert shape is not None
        absolute = goes_on and holder is self.tree.root
        if holder is not mappings[-1] and not absolute:
            inner, outer = dotted(mappings[-1].path), dotted(shape.path)
            self._fault("outer-scope", tag, f"{inner} has no {key}: this is {outer}", "write the whole path with dots")
        elif len(holders) > 1 and not self._present(shape, known):
            outer = dotted((*holders[1].path, key))
            self._fault("outer-scope", tag, f"where {dotted(shape.path)} is absent, this is {outer}")
        return shape

    def _present(self, shape: Shape, known: Known) -> bool:
        implied = self.tree.implied.get(shape.path)
        return shape.present or shape.path in known or (implied is not None and (implied,) in known)

    def _undeclared(self, tag: Tag, name: str, key: str, candidates: Iterable[str]) -> None:
        close = difflib.get_close_matches(key, list(candidates), n=1)
        self._fault("undeclared-key", tag, f"no schema declares {name}", f"did you mean {close[0]}?" if close else "")

    def _fault(self, rule: str, tag: Tag, message: str, hint: str = "") -> None:
        self.found.faults.append(Fault(rule, tag.offset, message, hint))


def dotted(path: Path) -> str:
    """Write a path as it stands in messages: ``cluster.nodes[].ip``."""
    return ".".join(path).replace(".[]", "[]") or "the metadata"
