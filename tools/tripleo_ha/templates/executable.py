"""Which metadata an executable template reads: os-apply-config gives it all of it, as JSON on standard input.

In a Python template the reads are found in its syntax tree. Any other says what it reads in ``# reads: PATH, PATH``
lines; so does a Python template that hands the metadata on as a whole.
"""

import ast
import re
from collections.abc import Iterable

from tripleo_ha.templates.scopes import Fault, Read, Reads, dotted
from tripleo_ha.templates.shape import ANY, ITEM, Path, Shape, Tree

_DECLARED = re.compile(r"^#\s*reads:(?P<paths>.*)$", re.MULTILINE)
_SHEBANG = re.compile(r"#!.*python")


def analyse(text: str, tree: Tree) -> Reads:
    """Find what an executable template reads, and what is wrong with that. Never runs it."""
    found = Reads()
    declared = list(_declarations(text))
    for path, offset in declared:
        _judge(found, tree, path, offset, guarded=True, whole=True)
    if not _SHEBANG.match(text):
        if not declared:
            found.faults.append(Fault("undeclared-reads", 0, "no `# reads:` line says which keys this program reads"))
        return found
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        found.faults.append(Fault("undeclared-reads", 0, f"not Python: {getattr(error, 'msg', error)}"))
        return found
    visitor = _Reader(text)
    visitor.visit(module)
    for path, offset, guarded, whole in visitor.reads:
        if path:
            _judge(found, tree, path, offset, guarded=guarded or path in visitor.guards, whole=whole)
        elif not declared:
            found.faults.append(
                Fault("undeclared-reads", offset, "the metadata is handed on whole", "say what is read: # reads: PATH")
            )
    return found


def _declarations(text: str) -> Iterable[tuple[Path, int]]:
    for line in _DECLARED.finditer(text):
        for word in re.finditer(r"[^\s,]+", line["paths"]):
            yield tuple(word[0].replace("[]", f".{ITEM}").split(".")), line.start("paths") + word.start()


def resolve(tree: Tree, path: Path) -> list[Shape]:
    """Return the shapes along a path, as far as it is declared."""
    steps: list[Shape] = []
    at = tree.root
    for key in path:
        below = at.item() if key == ITEM else at.child(key)
        if below is None:
            break
        at = below
        steps.append(at)
    return steps


def _judge(found: Reads, tree: Tree, path: Path, offset: int, *, guarded: bool, whole: bool) -> None:
    steps = resolve(tree, path)
    if len(steps) < len(path) and path[len(steps)] == ANY and steps:
        # A loop over a mapping whose keys are declared one by one reads them all.
        path = path[: len(steps)]
    if len(steps) < len(path):
        found.faults.append(Fault("undeclared-key", offset, f"no schema declares {dotted(path)}"))
        return
    sure = guarded or path[-1] == ANY
    if not sure and not steps[-1].present and steps[-1].path not in tree.implied:
        hint = f"ask first: .get({path[-1]!r})"
        found.faults.append(Fault("optional-unguarded", offset, f"{dotted(path)} may be absent", hint))
    found.reads.append(Read(steps[-1].path, offset, secret=steps[-1].secret, whole=whole))


class _Reader(ast.NodeVisitor):
    """Follows the document from ``json.load`` through names, subscripts, ``get`` and loops.

    ``reads`` are a path, an offset, whether the read allows for absence, and whether it takes all that is below;
    ``guards`` are paths asked for with ``in`` or ``get``.
    """

    def __init__(self, text: str) -> None:
        self.starts = [0]
        for line in text.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.lines = text.splitlines()
        self.names: dict[str, Path] = {}
        self.reads: list[tuple[Path, int, bool, bool]] = []
        self.guards: set[Path] = set()

    def visit_Assign(self, node: ast.Assign) -> None:
        path = self._path(node.value)
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        if path is None or len(names) != len(node.targets):
            self.generic_visit(node)
            return
        self.names |= dict.fromkeys(names, path)
        self._read(node.value, path, whole=False)

    def visit_For(self, node: ast.For) -> None:
        self._loop(node.target, node.iter)
        for statement in (*node.body, *node.orelse):
            self.visit(statement)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        self._loop(node.target, node.iter)
        for condition in node.ifs:
            self.visit(condition)

    def visit_ListComp(self, node: ast.ListComp) -> None:
        self._comprehension(node, node.elt)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> None:
        self._comprehension(node, node.elt)

    def _comprehension(self, node: ast.ListComp | ast.GeneratorExp, element: ast.expr) -> None:
        # The loops come first: they bind the names that the element uses.
        for generator in node.generators:
            self.visit(generator)
        self.visit(element)

    def visit_Compare(self, node: ast.Compare) -> None:
        holder = self._path(node.comparators[0])
        if isinstance(node.ops[0], ast.In | ast.NotIn) and isinstance(node.left, ast.Constant) and holder is not None:
            self.guards.add((*holder, str(node.left.value)))
            return
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self._expression(node)

    def visit_Call(self, node: ast.Call) -> None:
        self._expression(node)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._expression(node)

    def _expression(self, node: ast.expr) -> None:
        path = self._path(node)
        if path is None:
            self.generic_visit(node)
            return
        self._read(node, path, whole=True)

    def _read(self, node: ast.expr, path: Path, *, whole: bool) -> None:
        first = node.values[0] if isinstance(node, ast.BoolOp) else node
        asks = isinstance(first, ast.Call)
        if asks:
            self.guards.add(path)
        if path or whole:
            self.reads.append((path, self._offset(node), asks, whole))

    def _loop(self, target: ast.expr, iterated: ast.expr) -> None:
        base, stand_in = iterated, ITEM
        if isinstance(iterated, ast.Call) and isinstance(iterated.func, ast.Attribute):
            method = iterated.func.attr
            if method in ("items", "values"):
                base, stand_in = iterated.func.value, ANY
        path = self._path(base)
        names = [target] if isinstance(target, ast.Name) else getattr(target, "elts", [])
        if path is None or not names or not isinstance(names[-1], ast.Name):
            self.visit(iterated)
            return
        self.names[names[-1].id] = (*path, stand_in)
        self._read(base, path, whole=False)

    def _path(self, node: ast.expr) -> Path | None:
        if isinstance(node, ast.Name):
            return self.names.get(node.id)
        if isinstance(node, ast.BoolOp):
            return self._path(node.values[0])
        if isinstance(node, ast.Subscript):
            return self._below(node.value, node.slice)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            function = node.func
            if isinstance(function.value, ast.Name) and (function.value.id, function.attr[:4]) == ("json", "load"):
                return ()
            if function.attr == "get" and node.args:
                return self._below(function.value, node.args[0])
        return None

    def _below(self, holder: ast.expr, key: ast.expr) -> Path | None:
        path = self._path(holder)
        if path is None or not isinstance(key, ast.Constant):
            return None
        return (*path, ITEM if isinstance(key.value, int) else str(key.value))

    def _offset(self, node: ast.expr) -> int:
        line = self.lines[node.lineno - 1]
        return self.starts[node.lineno - 1] + len(line.encode()[: node.col_offset].decode())
