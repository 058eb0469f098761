"""Read the files of a config as text: its bases, and what is set there for nothing.

A variable of a config (``data_root``, ``train_pipeline``) is a value for statements
below it. Set after the last of them, as in a file that inherits another, it changes
nothing, and MMEngine says nothing.
"""

import ast
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import mmengine
from mmengine.config import Config

from mmfusion.engine.launch.nearest import nearest
from mmfusion.utils.errors import ConfigError
from mmfusion.utils.mmengine_compat import package_folder


class Write(NamedTuple):
    """One place where a name is set or changed.

    Attributes:
        place: ``file:line``. path: the file. inherited: another file had set the name
            before. is_new: no statement has read the name so far.
    """

    place: str
    path: Path
    inherited: bool
    is_new: bool


class Reading:
    """Writes and reads of each name, by the statements of a config and of its bases.

    Args:
        path: the config.

    Attributes:
        unread: by name, the last write, where no later statement reads it.
        names: every name that is set, and the file that did it first.
        behind: by name, (the name that it was equal to, the write that changed that
            one in another file).

    Raises:
        ConfigError: bases that inherit each other, or one in another package by ``::``.
        Whatever reading a file raises, too.
    """

    def __init__(self, path: Path) -> None:
        self.unread: dict[str, Write] = {}
        self.names: dict[str, Path] = {}
        self.behind: dict[str, tuple[str, Write]] = {}
        self._were_read: set[str] = set()
        self._equal: dict[str, tuple[str, Path]] = {}
        self._parts: dict[str, str] = {}  # a name for a part of another one's value
        self._read_file(path.resolve(), ())

    def changed(self, names: Iterable[str], place: str) -> None:
        """Take note that names are changed after all files are read."""
        for name in names:
            self._write(name, place, Path(place))

    def _read_file(self, path: Path, above: tuple[Path, ...]) -> None:
        if path in above:
            circle = " -> ".join(map(str, [*above[above.index(path) :], path]))
            raise ConfigError(f"config {path} inherits itself: {circle}")
        above += (path,)
        for base in Config._get_base_files(str(path)):
            if "::" in base:
                raise ConfigError(f"{path}: _base_ {external(base)}")
            self._read_file((path.parent / base).resolve(), above)
        text = path.read_text(encoding="utf-8")
        for name in re.findall(r"\b_base_\.(\w+)", text):
            self._read(name)
        if path.suffix != ".py":
            for name in mmengine.load(str(path)):
                self._write(name, str(path), path)
            return
        for statement in ast.parse(text).body:
            bases = list(_bases_of(statement, path))
            for base in bases:
                self._read_file(base, above)
            if not bases:
                self._statement(statement, path)

    def _statement(self, statement: ast.stmt, path: Path) -> None:
        """Reads first, then writes, as Python does."""
        if isinstance(statement, ast.Import | ast.ImportFrom):
            return
        targets = list(_targets(statement))
        changed = {id(node) for node in targets}
        for node in ast.walk(statement):
            if (
                isinstance(node, ast.Name)
                and isinstance(node.ctx, ast.Load)
                and id(node) not in changed
            ):
                self._read(node.id)
        place = f"{path}:{statement.lineno}"
        for node in targets:
            if node.id in self._parts and isinstance(node.ctx, ast.Load):
                self._read(node.id)  # changed in place is what it is a part of
                self._write(self._parts[node.id], place, path)
            else:
                self._write(node.id, place, path)
        if isinstance(statement, ast.Assign) and isinstance(
            target := statement.targets[0], ast.Name
        ):
            value = statement.value
            if isinstance(value, ast.Name):
                self._equal[target.id] = (value.id, path)
            elif isinstance(root := _root(value), ast.Name):
                self._parts[target.id] = root.id

    def _read(self, name: str) -> None:
        self.unread.pop(name, None)
        self._were_read.add(name)

    def _write(self, name: str, place: str, path: Path) -> None:
        home = self.names.setdefault(name, path)
        write = Write(place, path, home != path, name not in self._were_read)
        self.unread[name] = write
        self._equal.pop(name, None)
        self._parts.pop(name, None)
        self.behind.pop(name, None)
        for other, (twin, home) in self._equal.items():
            if twin == name and home != path:
                self.behind.setdefault(other, (name, write))


def _targets(statement: ast.stmt) -> Iterator[ast.Name]:
    """Names that a statement sets, or whose value it changes in place."""
    found: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        found = statement.targets
    elif isinstance(statement, ast.AugAssign | ast.AnnAssign):
        found = [statement.target]
    elif isinstance(statement, ast.Expr):
        call = statement.value  # x.update(...)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            found = [call.func]
    for target in found:
        for node in target.elts if isinstance(target, ast.Tuple) else [target]:
            if isinstance(root := _root(node), ast.Name):
                yield root


def _root(node: ast.expr) -> ast.expr:
    """``x`` of ``x.a[0].b``."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node


def _bases_of(statement: ast.stmt, path: Path) -> Iterator[Path]:
    """Files that ``with read_base():`` imports, in their order."""
    if not isinstance(statement, ast.With):
        return
    for module in Config._get_base_modules([statement]):
        dots = len(module) - len(module.lstrip("."))
        names = module[dots:].split(".")
        if dots:
            folder = path.parents[dots - 1]
        else:
            folder, names = Path(package_folder(names[0])), names[1:]
        yield folder.joinpath(*names).with_suffix(".py").resolve()


def external(name: str) -> str:
    """Reason why ``name``, with ``::``, is refused, and what to do."""
    return (
        f"{name!r} names a config of another package ('::'), which MMEngine looks up "
        "by what pip and mim know; copy the config and give its path, or import it by "
        "'from package.configs... import *' under read_base"
    )


def check_variables(
    reading: Reading, path: Path, known: set[str], paths: Collection[str] = ()
) -> None:
    """Refuse a variable that is set for nothing.

    Args:
        reading: of the config and its bases.
        path: the config; in a base, a variable may be there for other configs.
        known: the keys that do something without being read.
        paths: dotted key paths of the config, where the name may stand further down.

    Raises:
        ConfigError: the name, where it is set, and what to set instead.
    """
    for name, write in reading.unread.items():
        own = write.path == path.resolve()
        if name in known or name == "_base_" or not (own or write.inherited):
            continue
        if write.is_new and not write.inherited:
            raise ConfigError(
                f"{write.place}: unknown key {name!r}"
                f"{further_down(name, paths) or nearest(name, known)} (as a"
                " variable of the config's own it would have to be read below)"
            )
        raise ConfigError(
            f"{write.place}: {name!r} is set, but nothing reads it afterwards: what was"
            f" made of its old value stays as it was; {_instead(name)}"
        )


def further_down(name: str, paths: Collection[str]) -> str:
    """The key paths that end with ``name``, as the end of a message; '' if none."""
    deep = [path for path in paths if path.rpartition(".")[2] == name]
    return f"; nearest: {', '.join(sorted(deep, key=len)[:3])}" if deep else ""


def _instead(name: str) -> str:
    part = name.partition("_pipeline")[0].lstrip("_")
    if part in ("train", "val", "test") and name.endswith("_pipeline"):
        return f"set {part}_dataloader.dataset.pipeline = {name} below it"
    return "set the keys themselves that were made of it"
