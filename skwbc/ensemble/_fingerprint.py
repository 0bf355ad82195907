"""Fingerprints of data, parameters and code that are equal in every process.

joblib hashes a function by its name and files by their path. Here the code of functions
enters with everything that it reaches, and files with their size and time. Code of
installed packages and of the standard library enters by its version.

A class of this package declares what its state does not show:

- ``_fingerprint_parts()``, of an array-like or estimator: further objects, such as the
  function that a parameter names by its import path.
"""

import copyreg
import dis
import hashlib
import importlib
import importlib.util
import os
import sys
import sysconfig
import types
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_random_state

from skwbc._utils.lazy_arrays import LazyArray, read_rows

_ATOMS = (type(None), bool, int, float, complex, bytes, type(Ellipsis))
_CODE = (types.FunctionType, type, types.ModuleType)
_METHODS = (types.FunctionType, staticmethod, classmethod, property)
_WRAPPERS = (types.MethodType, staticmethod, classmethod, property)
_WRAPPED = ("__func__", "__self__", "fget", "fset", "fdel")
_SIZE = 32
_VALUES_AT_A_TIME = 2**21
# Methods that change their object: it is then no constant, but a log of what happened.
_CHANGES = {"add", "append", "appendleft", "clear", "discard", "extend", "insert"}
_CHANGES |= {"pop", "popitem", "remove", "setdefault", "update", "write"}


class _Code(NamedTuple):
    """A code object with the variables that it can reach."""

    code: types.CodeType
    variables: dict[str, Any]


class _Used(NamedTuple):
    """A module of the user, with the names that code uses."""

    module: types.ModuleType
    names: frozenset[str]


class Fingerprint:
    """Computes fingerprints; keep one for objects that have parts in common."""

    def __init__(self) -> None:
        # The objects are kept, so that no other gets the same id.
        self._memo: dict[int, tuple[Any, bytes]] = {}
        self._path: list[int] = []
        self._code_depth = 0

    def of(self, obj: Any) -> bytes:
        """Return the fingerprint of an object.

        Parameters
        ----------
        obj : object
            Anything. What can be neither pickled nor read counts by its type.

        Returns
        -------
        bytes of length 32
        """
        if isinstance(obj, _ATOMS) and type(obj) in _ATOMS:
            return _digest(f"{type(obj).__name__} {obj!r}")
        if type(obj) is str:
            return _digest(f"str {obj!r} {self._file(obj)}")
        key = id(obj)
        if key in self._memo:
            return self._memo[key][1]
        if key in self._path:
            return _digest(f"the object {len(self._path) - self._path.index(key)} up")
        is_code = isinstance(obj, _CODE)
        self._path.append(key)
        self._code_depth += is_code
        total = hashlib.blake2b(digest_size=_SIZE)
        try:
            for part in self._parts(obj):
                chunk = isinstance(part, memoryview)
                total.update(part if chunk else self.of(part))
        finally:
            self._path.pop()
            self._code_depth -= is_code
        self._memo[key] = obj, total.digest()
        return total.digest()

    def _file(self, path: str) -> str:
        """Return size and time of the file that a parameter names, if it does."""
        # Code names files that it writes, as well. Most texts name none.
        with suppress(OSError, ValueError):
            if not self._code_depth and os.path.isfile(path):
                status = os.stat(path)
                return f"{status.st_size} {status.st_mtime_ns}"
        return ""

    def _parts(self, obj: Any) -> Iterator[Any]:
        """Yield what an object consists of: other objects, and chunks of data."""
        if hasattr(type(obj), "_fingerprint_parts"):
            yield from obj._fingerprint_parts()
        kind = type(obj)
        if kind in (list, tuple):
            yield from (kind.__name__, len(obj), *obj)
        elif kind in (dict, types.MappingProxyType):
            yield "dict"
            yield b"".join(sorted(self.of(k) + self.of(v) for k, v in obj.items()))
        elif isinstance(obj, set | frozenset):
            yield kind
            yield b"".join(sorted(map(self.of, obj)))
        elif isinstance(obj, types.FunctionType):
            yield from self._function(obj)
        elif isinstance(obj, type):
            yield from self._class(obj)
        elif isinstance(obj, types.ModuleType):
            yield from ("module", obj.__name__, version_of(obj.__name__))
        elif isinstance(obj, _Code):
            yield from _instructions(obj)
        elif isinstance(obj, _Used):
            yield from _used(obj)
        elif isinstance(obj, _WRAPPERS):
            yield kind
            yield from (getattr(obj, name, None) for name in _WRAPPED)
        elif obj is check_random_state(None):
            yield "the global random state of NumPy"  # It is different in each process.
        elif isinstance(obj, Path):
            yield from ("path", os.fspath(obj))
        elif issparse(obj):
            rows = obj.tocsr()
            yield from (kind, rows.shape, rows.indptr, rows.indices, rows.data)
        elif _has_rows(obj):
            # The same values in memory and in a file make the same members.
            yield np.ndarray if kind is np.memmap else kind
            yield tuple(obj.shape)
            yield from _rows(obj)
            if isinstance(obj, np.ndarray) and obj.dtype.kind == "U":
                yield [f for each in np.unique(obj) if (f := self._file(str(each)))]
        elif _is_of_keras(kind):
            yield from _keras_object(obj)
        else:
            yield from _reduced(obj)

    def _function(self, function: types.FunctionType) -> Iterator[Any]:
        # Not `__module__`, which functools.wraps copies from another function.
        module = function.__globals__.get("__name__", "")
        version = version_of(module)
        contents = map(_content, function.__closure__ or ())
        cells = dict(zip(function.__code__.co_freevars, contents, strict=True))
        yield "function"
        if version is not None:
            yield from (module, version, function.__qualname__)
            # A decorator of a package around a function of the user.
            yield [each for each in cells.values() if callable(each)]
            yield getattr(function, "__wrapped__", None)
            return
        yield function.__name__
        yield from (function.__defaults__, function.__kwdefaults__)
        yield vars(function)
        yield _Code(function.__code__, {**function.__globals__, **cells})

    def _class(self, cls: type) -> Iterator[Any]:
        version = version_of(cls.__module__)
        yield "class"
        if version is not None:
            yield from (cls.__module__, version, cls.__qualname__)
            return
        yield cls.__name__
        yield from (cls.__bases__, type(cls))
        written: set[str] = set()
        entries = sorted(vars(cls).items(), key=lambda entry: entry[0])
        for _, value in entries:
            function = getattr(value, "__func__", getattr(value, "fget", value))
            if isinstance(function, types.FunctionType):
                written = written.union(*_written(function.__code__)[1:])
        for name, value in entries:
            # Other special entries tell where the class is written, or how it was used.
            special = name.startswith("__") and not isinstance(value, _METHODS)
            if name not in written and not special and name != "_abc_impl":
                yield from (name, value)


def _digest(text: str) -> bytes:
    content = text.encode(errors="surrogatepass")
    return hashlib.blake2b(content, digest_size=_SIZE).digest()


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # A variable that has no value yet.
        return None


def _has_rows(obj: Any) -> bool:
    """Return whether an object is an array of numbers or texts, perhaps on disk."""
    # Their pickles have more than values.
    if isinstance(obj, LazyArray | np.generic | np.ma.MaskedArray):
        return False
    names = ("shape", "dtype", "__getitem__", "__len__")
    is_array = all(hasattr(obj, name) for name in names) and len(obj.shape) > 0
    is_of_pandas = type(obj).__module__.partition(".")[0] == "pandas"
    return is_array and not (is_of_pandas or getattr(obj.dtype, "hasobject", False))


def _rows(X: Any) -> Iterator[memoryview]:
    n_values = max(int(np.prod(X.shape[1:])), 1)
    step = max(_VALUES_AT_A_TIME // n_values, 1)
    for start in range(0, X.shape[0], step):
        chunk = read_rows(X, slice(start, start + step))
        yield memoryview(str(chunk.dtype).encode() + chunk.tobytes())


def _is_of_keras(cls: type) -> bool:
    roots = {base.__module__.partition(".")[0] for base in cls.__mro__}
    return "keras" in roots and hasattr(cls, "get_config")


def _keras_object(obj: Any) -> Iterator[Any]:
    """Yield the settings of a layer, loss and the like: its pickle has the date."""
    yield type(obj)
    try:
        config = obj.get_config()
    except NotImplementedError:
        config = {}
    if {"Loss", "Optimizer"} & {cls.__name__ for cls in type(obj).__mro__}:
        # Keras numbers them, and their names make no difference.
        config = {key: value for key, value in config.items() if key != "name"}
    yield config
    yield [np.asarray(weight) for weight in getattr(obj, "weights", ())]
    # The config may lack what a class of the user stores, and has only the names of
    # functions and of such classes.
    stored: set[str] = set()
    for cls in type(obj).__mro__:
        init = vars(cls).get("__init__")
        if version_of(cls.__module__) is None and isinstance(init, types.FunctionType):
            stored.update(init.__code__.co_names)
    for name, value in vars(obj).items():
        if name in stored:
            yield from (name, value)
        for each in value if isinstance(value, list | tuple) else [value]:
            cls = type(each)
            is_user = cls is types.FunctionType or version_of(cls.__module__) is None
            if is_user or _is_of_keras(cls):
                yield from (name, each)


def _reduced(obj: Any) -> Iterator[Any]:
    """Yield what a pickle of an object would consist of."""
    yield type(obj)
    yield getattr(obj, "__wrapped__", None)
    try:
        reduce = copyreg.dispatch_table.get(type(obj))
        reduced = reduce(obj) if reduce else obj.__reduce_ex__(4)
    except Exception:
        # Objects that cannot be pickled may raise anything.
        yield getattr(obj, "__dict__", None)
        return
    if isinstance(reduced, str):
        yield from (getattr(obj, "__module__", None), reduced)
        return
    function, args, *rest = reduced
    state, items, pairs = (*rest, None, None, None)[:3]
    yield from (function, args, state, list(items or ()), list(pairs or ()))


def _instructions(source: _Code) -> Iterator[Any]:
    """Yield the instructions of a function, and the values that they use.

    Neither lines nor file names, so that a function can be moved.
    """
    code, variables = source
    yield from (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount)
    yield from (code.co_flags, code.co_varnames, code.co_exceptiontable)
    instructions = list(dis.get_instructions(code))
    changed, changed_attributes, _ = _written(code)
    names = frozenset(
        {each.argval for each in instructions if isinstance(each.argval, str)}
        - changed_attributes
    )
    for k, each in enumerate(instructions):
        if instructions[min(k + 1, len(instructions) - 1)].argval == "__firstlineno__":
            continue
        yield each.opname
        value = each.argval
        if isinstance(value, types.CodeType):
            yield _Code(value, variables)
            continue
        yield value
        if each.opname == "IMPORT_NAME":
            level, names_in_it = (before.argval for before in instructions[k - 2 : k])
            yield _imported(value, level, names_in_it, variables, names)
        elif _loads_variable(each) and value in variables:
            content = variables[value]
            if isinstance(content, types.ModuleType):
                yield _Used(content, names)
            elif value not in changed or isinstance(content, _CODE):
                yield content


def _imported(
    name: str, level: int, names_in_it: Any, variables: Any, names: Any
) -> Any:
    """Return a module that a function imports, without loading installed ones."""
    if not level and version_of(name) is not None:
        return name
    try:
        # As the function does it.
        module = __import__(name, variables, None, names_in_it or (), level)
    except Exception:
        return f"{name} cannot be imported"  # The function will find out.
    return _Used(module, names | frozenset(names_in_it or name.split(".")))


def _used(source: _Used) -> Iterator[Any]:
    module, names = source
    version = version_of(module.__name__)
    yield from ("module", module.__name__, version)
    if version is None:
        for name in sorted(names & vars(module).keys()):
            value = vars(module)[name]
            is_module = isinstance(value, types.ModuleType) and value is not module
            yield from (name, _Used(value, names - {name}) if is_module else value)


def _loads_variable(instruction: dis.Instruction) -> bool:
    """Return whether an instruction reads a variable from outside the function."""
    name = instruction.opname
    return name.startswith("LOAD") and any(
        kind in name for kind in ("GLOBAL", "NAME", "DEREF", "CLOSURE")
    )


def _written(code: types.CodeType) -> tuple[set[str], set[str], set[str]]:
    """Return what code changes, because it is a log or a counter and no constant.

    Returns
    -------
    variables, contents, attributes : sets of str
        Variables from outside; attributes whose content is changed, as by ``append``;
        attributes that are set.
    """
    variables: set[str] = set()
    contents: set[str] = set()
    attributes: set[str] = set()

    def note(k: int) -> None:
        """Note the object that the instruction `k` has loaded, and its owners."""
        while k >= 0 and instructions[k].opname == "LOAD_ATTR":
            contents.add(instructions[k].argval)
            k -= 1
        if k >= 0 and _loads_variable(instructions[k]):
            variables.add(instructions[k].argval)

    instructions = list(dis.get_instructions(code))
    names = [each.opname for each in instructions]
    for k, each in enumerate(instructions):
        if isinstance(each.argval, types.CodeType):
            nested = _written(each.argval)
            for total, part in zip(
                (variables, contents, attributes), nested, strict=True
            ):
                total |= part
        elif each.opname in ("STORE_ATTR", "DELETE_ATTR"):
            attributes.add(each.argval)
        elif each.opname in ("STORE_GLOBAL", "DELETE_GLOBAL", "STORE_DEREF"):
            variables.add(each.argval)
        elif each.opname in ("LOAD_METHOD", "LOAD_ATTR") and each.argval in _CHANGES:
            note(k - 1)
        elif (
            # container[index] = value, and container[index] += value
            each.opname in ("STORE_SUBSCR", "DELETE_SUBSCR")
            or names[k : k + 2] == ["COPY", "COPY"]
        ) and names[k - 1].startswith("LOAD"):
            note(k - 2)
    return variables, contents, attributes


def version_of(module: str) -> str | None:
    """Return the version of the package of a module; None for code of the user.

    Parameters
    ----------
    module : str
        Name of the module. It is not imported.

    Returns
    -------
    str or None
        An installed package that can be edited in place counts as code of the user.
    """
    root = module.partition(".")[0]
    if root.startswith("_cython_"):
        return root  # Types of Cython, with its version.
    if root == "skwbc":
        return str(sys.modules["skwbc"].__version__)
    place = _place(root)
    if place == "python":
        return sys.version
    if place == "package":
        loaded = getattr(sys.modules.get(root), "__version__", None)
        return str(loaded) if isinstance(loaded, str) else _installed(root)
    return None


@cache
def _installed(root: str) -> str | None:
    distributions = metadata.packages_distributions().get(root)
    return metadata.version(distributions[0]) if distributions else None


@cache
def _place(root: str) -> str:
    """Return where a module is from: "python", "package" or "user"."""
    if root == "__main__":
        return "user"
    try:
        spec = importlib.util.find_spec(root)
    except (ImportError, ValueError):
        spec = None
    file = spec.origin if spec and spec.has_location else None
    if file is None:
        return "python" if root in sys.stdlib_module_names else "user"
    folders = Path(os.path.abspath(file)).parents
    if any(each.name in ("site-packages", "dist-packages") for each in folders):
        return "package"
    paths = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    return "python" if paths & {*folders} else "user"
