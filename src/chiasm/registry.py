"""Kinds, found by their tag: each is written once, in one file of its family's package or of a plug-in.

A family (deficits, tasks, networks, ...) is an abstract base class and a package. A kind is a class that derives from
the base and has a tag of its own; what others must know of it stands on the class. Nobody else keeps a list of kinds.
A plug-in is a module, a file or a package of the user's, whose kinds join those of every family.
"""

from __future__ import annotations

import hashlib
import importlib.util
import pkgutil
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module, metadata
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Generic, TypeVar

from chiasm.errors import ChiasmError, unknown

K = TypeVar("K")
#: Entry points of installed packages that name modules with kinds: `[project.entry-points."chiasm.plugins"]`.
GROUP: Final = "chiasm.plugins"
#: Where a module keeps the hash of its code as it was imported.
DIGEST: Final = "__chiasm_source__"


@dataclass(frozen=True, slots=True)
class Plugin:
    """A module of the user's that holds kinds.

    Attributes:
        name: as it was asked for: "my_lab.fog", or a path.
        file: where its code lies.
        module: as imported.
    """

    name: str
    file: Path
    module: ModuleType

    @property
    def folder_or_file(self) -> Path:
        """What names it as a path: a package's folder, or a file."""
        return self.file.parent if self.file.name == "__init__.py" else self.file


class Registry(Generic[K]):
    """The kinds of one family by tag: those of its package and those of every plug-in that was loaded.

    Args:
        family: singular, as errors say it: "deficit".
        base: the class that every kind derives from.
        package: the package whose modules hold the kinds, one each.
    """

    def __init__(self, family: str, base: type[Any], package: str) -> None:
        self.family, self.base, self.package = family, base, package
        _REGISTRIES[family] = self

    def __getitem__(self, tag: str) -> type[K]:
        """Return the kind with this tag; raises ChiasmError with the known ones where there is none."""
        kind = self.get(tag)
        if kind is None:
            raise unknown(self.family, tag, self.kinds())
        return kind

    def __contains__(self, tag: object) -> bool:
        return isinstance(tag, str) and self.get(tag) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self.kinds())

    def get(self, tag: str) -> type[K] | None:
        """Return the kind with this tag, None without one. Plug-ins of installed packages are imported only for it."""
        return self._own.get(tag) or self._of_plugins().get(tag) or self.kinds().get(tag)

    def kinds(self) -> dict[str, type[K]]:
        """Return all kinds by tag, those of the package first, each in the order of their modules' names."""
        _load_installed()
        return {**self._own, **self._of_plugins()}

    @cached_property
    def _own(self) -> dict[str, type[K]]:
        package = import_module(self.package)
        kinds: dict[str, type[K]] = {}
        for info in pkgutil.iter_modules(package.__path__):
            kinds |= self.among(import_module(f"{self.package}.{info.name}"))
        return kinds

    def _of_plugins(self) -> dict[str, type[K]]:
        return {tag: kind for plugin in _PLUGINS.values() for tag, kind in self.among(plugin.module).items()}

    def among(self, module: ModuleType) -> dict[str, type[K]]:
        """Return the kinds of this family that a module, or a package with its modules, defines."""
        modules = [module, *(m for name, m in list(sys.modules.items()) if name.startswith(f"{module.__name__}."))]
        return {
            tag: value
            for part in modules
            for value in vars(part).values()
            if isinstance(value, type) and issubclass(value, self.base) and value.__module__ == part.__name__
            if value is not self.base  # msgspec gives every struct with a tag_field a tag
            if (tag := own_tag(value)) is not None
        }


_REGISTRIES: dict[str, Registry[Any]] = {}
_PLUGINS: dict[Path, Plugin] = {}
_installed_are_loaded = False
#: Receives a sentence before a plug-in's file is imported; the command line prints it.
announce: Callable[[str], None] = lambda sentence: None  # noqa: E731


def families() -> dict[str, Registry[Any]]:
    """Return the registry of every family whose base class was imported, by the family's name."""
    return dict(_REGISTRIES)


def own_tag(kind: type[Any]) -> str | None:
    """Return the tag that a class declares itself, by msgspec's `tag=` or an attribute `tag`; None without one."""
    config = getattr(kind, "__struct_config__", None)
    tag = vars(kind).get("tag") if config is None else config.tag
    return tag if isinstance(tag, str) else None


def tag_of(kind: object) -> str:
    """Return the tag of a kind, or of an object of that kind."""
    tag = own_tag(kind if isinstance(kind, type) else type(kind))
    assert tag is not None
    return tag


def summary(kind: type[Any]) -> str:
    """Return the first line of a kind's docstring."""
    return (kind.__doc__ or "").strip().partition("\n")[0]


def load_plugin(name: str, folder: Path | None = None) -> Plugin:
    """Import a plug-in once, having announced its file.

    Args:
        name: a module ("my_lab.fog"), or the path of a .py file or of a package's folder.
        folder: where relative paths and modules are looked for first; the working folder comes next.

    Raises:
        ChiasmError: there is no such module or file, it cannot be imported, it holds no kind, or a tag of its is taken.
    """
    folders = [*([folder] if folder else []), Path.cwd()]
    spec = _spec_of_path(name, folders) if name.endswith(".py") or "/" in name else _spec_of_module(name, folders)
    if spec is None or spec.origin is None or spec.loader is None:
        raise ChiasmError(
            f"plug-in '{name}' is not there; expected a module that can be imported, or the path of a file"
        )
    file = Path(spec.origin).resolve()
    for plugin in _PLUGINS.values():  # known by what it says: a copy of a file is the same plug-in
        if file == plugin.file or _digest_of(file) == vars(plugin.module)[DIGEST]:
            return replace(plugin, name=name, file=file)
    announce(f"importing the plug-in '{name}' from {file}")
    plugin = Plugin(name, file, _imported(name, spec, folders))
    kinds_by_family = {family: registry.among(plugin.module) for family, registry in _REGISTRIES.items()}
    if not any(kinds_by_family.values()):
        raise ChiasmError(f"plug-in '{name}' holds no kind; expected one or more of: {', '.join(sorted(_REGISTRIES))}")
    for family, kinds in kinds_by_family.items():
        for tag, kind in kinds.items():
            other = _REGISTRIES[family]._own.get(tag) or _REGISTRIES[family]._of_plugins().get(tag)
            if other is not None and other is not kind:
                raise ChiasmError(
                    f"plug-in '{name}': {family} '{tag}' is already that of {other.__module__}; rename it"
                )
    _PLUGINS[file] = plugin
    code_digest(plugin.module)  # as imported, so that a later edit is noticed
    return plugin


def announce_module(what: str, module: str, folders: list[Path]) -> None:
    """Announce the file of a module that is about to be imported; nothing where it is imported, or not found."""
    spec = None if module in sys.modules else _spec_of_module(module, folders)
    if spec is not None and spec.origin is not None:
        announce(f"importing {what} from {spec.origin}")


def kind_digest(kind: object) -> str:
    """Return the hash of the code of a kind that comes from a plug-in, for the identity of what it makes; else ""."""
    name = (kind if isinstance(kind, type) else type(kind)).__module__
    if name.split(".")[0] == "chiasm":
        return ""
    for plugin in _PLUGINS.values():
        if f"{name}.".startswith(f"{plugin.module.__name__}."):
            return code_digest(plugin.module)
    return code_digest(sys.modules[name])


def code_digest(module: ModuleType) -> str:
    """Return the hash of a module's file, of a package's all .py files.

    Raises:
        ChiasmError: the module has no file, or one was edited after this process imported it.
    """
    file = getattr(module, "__file__", None)
    if not file or module.__name__ == "__main__":
        raise ChiasmError(
            f"'{module.__name__}' is known by its source and has no file; expected a module in a file of its own"
        )
    digest = _digest_of(Path(file))
    if vars(module).setdefault(DIGEST, digest) != digest:
        raise ChiasmError(f"'{file}' was edited after it was imported; start Python anew")
    return digest


def _digest_of(file: Path) -> str:
    files = sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]
    contents = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    return contents[0] if len(contents) == 1 else hashlib.sha256("".join(contents).encode()).hexdigest()


def _load_installed() -> None:
    """Import the plug-ins of installed packages, once; one that cannot be imported is told and left out."""
    global _installed_are_loaded  # noqa: PLW0603
    if _installed_are_loaded:
        return
    _installed_are_loaded = True
    for point in metadata.entry_points(group=GROUP):
        try:
            load_plugin(point.value)
        except ChiasmError as error:
            warnings.warn(f"left out: {error}", stacklevel=2)


def _spec_of_path(name: str, folders: list[Path]) -> ModuleSpec | None:
    for folder in folders:
        path = (folder / Path(name).expanduser()).resolve()
        file = path / "__init__.py" if path.is_dir() else path
        if file.is_file():
            # Two files of one name are two modules: their folder tells them apart.
            own = f"chiasm_plugin_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
            inner = [str(path)] if path.is_dir() else None
            return importlib.util.spec_from_file_location(own, file, submodule_search_locations=inner)
    return None


def _spec_of_module(name: str, folders: list[Path]) -> ModuleSpec | None:
    """Find a module without importing its parents, so that nothing runs before it is announced."""
    search: list[str] | None = [*sys.path, *map(str, folders)]
    spec = None
    for at in range(1, name.count(".") + 2):
        spec = PathFinder.find_spec(".".join(name.split(".")[:at]), search)
        if spec is None:
            return None
        search = list(spec.submodule_search_locations or ())
    return spec


def _imported(name: str, spec: ModuleSpec, folders: list[Path]) -> ModuleType:
    added = [str(folder) for folder in folders if str(folder) not in sys.path]
    sys.path.extend(added)
    try:
        if spec.name == name:
            module = import_module(name)
        else:
            module = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = module
            assert spec.loader is not None
            spec.loader.exec_module(module)
        for info in pkgutil.iter_modules(getattr(module, "__path__", ())):
            import_module(f"{module.__name__}.{info.name}")
        return module
    except (Exception, SystemExit) as error:
        sys.modules.pop(spec.name, None)
        raise ChiasmError(f"plug-in '{name}' cannot be imported ({type(error).__name__}: {error})") from error
    finally:
        for folder in added:
            sys.path.remove(folder)
