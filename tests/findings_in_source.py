"""Which findings a module makes, read off its source: code and line.

A finding is made by `Finding(...)`, `PixelError(...)`, by a helper that has a
parameter `code: str` and calls one of these, or as a dict with the keys "code" and "values". The
code stands there as a text, as a named constant, or is a variable called `code` that gets its
text elsewhere in the module.
"""

import ast
from typing import NamedTuple

CODE = "code"


class Made(NamedTuple):
    code: str
    where: str


MAKERS = {"Finding": 0, "PixelError": 0}
"""Place of the code among the arguments."""


def findings_of(source, name, constants=None):
    """The findings that this module makes; a call whose code cannot be read off fails the test."""
    tree = ast.parse(source)
    texts = {**(constants or {}), **constants_of(tree)}
    module = Module(name, MAKERS | helpers(tree), texts, tables_of(tree))
    return {made for node in ast.walk(tree) for made in module.made(node)}


def constants_of(tree):
    """The texts that stand under a name at the top of the module."""
    named = named_in(tree, ast.Constant)
    texts = {name: node.value for name, node in named.items()}
    return {name: text for name, text in texts.items() if isinstance(text, str) and text}


def tables_of(tree):
    """The dicts that stand under a name at the top of the module."""
    return named_in(tree, ast.Dict)


def named_in(tree, kind):
    assigned = (node for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign))
    return {
        target.id: node.value
        for node in assigned
        for target in targets(node)
        if isinstance(target, ast.Name) and isinstance(node.value, kind)
    }


def targets(node):
    return node.targets if isinstance(node, ast.Assign) else [node.target]


def helpers(tree):
    """The functions of the module that make a finding of a code that they are given."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            names = [argument.arg for argument in node.args.args if argument.arg != "self"]
            calls = (inner for inner in ast.walk(node) if isinstance(inner, ast.Call))
            if CODE in names and any(called(call) in MAKERS for call in calls):
                found[node.name] = names.index(CODE)
    return found


def called(call):
    return ast.unparse(call.func).rpartition(".")[2]


def argument(call, place, keyword):
    """The argument at this place or under this keyword."""
    named = [given.value for given in call.keywords if given.arg == keyword]
    return (named or call.args[place : place + 1] or [None])[0]


class Module(NamedTuple):
    name: str
    makers: dict[str, int]
    constants: dict[str, str]
    tables: dict[str, ast.Dict]
    """The dicts that stand under a name at the top of the module."""

    def made(self, node):
        where = f"{self.name}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Call) and called(node) in self.makers:
            code = argument(node, self.makers[called(node)], CODE)
            assert code is None or self.texts(code) or handed_on(code), f"{where}: which code?"
            yield from self.all(code, where)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target in targets(node):
                for code in self.assigned(target, node.value):
                    yield from self.all(code, where)
        elif isinstance(node, ast.For):
            for row in getattr(node.iter, "elts", ()):
                for code in unpacked(node.target, row):
                    yield from self.all(code, where)
        elif isinstance(node, ast.Dict):
            named = {getattr(key, "value", None): value for key, value in zip_of(node)}
            if {CODE, "values"} <= set(named):
                yield from self.all(named[CODE], where)

    def assigned(self, target, value):
        """What becomes the variable `code` in `code = value` and in `code, other = TABLE[key]`."""
        if isinstance(target, ast.Name) and target.id == CODE:
            yield value
        elif isinstance(value, ast.Subscript):
            table = self.tables.get(ast.unparse(value.value))
            for row in table.values if table is not None else ():
                yield from unpacked(target, row)

    def all(self, code, where):
        yield from (Made(text, where) for text in self.texts(code))

    def texts(self, node):
        """The texts that an expression can come out as, as far as it shows them."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return {node.value} - {""}
        if isinstance(node, ast.IfExp):
            return self.texts(node.body) | self.texts(node.orelse)
        if isinstance(node, ast.Name) and node.id in self.constants:
            return {self.constants[node.id]}
        return set()


def unpacked(target, row):
    """What becomes the variable `code` in `code, other = row`."""
    if isinstance(target, ast.Tuple) and isinstance(row, ast.Tuple):
        pairs = zip(target.elts, row.elts, strict=True)
        yield from (given for name, given in pairs if getattr(name, "id", None) == CODE)


def zip_of(node):
    return zip(node.keys, node.values, strict=True)


def handed_on(node):
    """A code that was given elsewhere: a variable of that name, or another finding's."""
    return isinstance(node, ast.Name | ast.Attribute | ast.Subscript) and CODE in ast.unparse(node)
