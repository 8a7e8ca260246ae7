"""LLVM IR text made into machine code in memory, and that kept on disk.

llvmlite is imported at the first use. LLVM's JIT linker and not its older engine: a library loads in a quarter of a
millisecond, and a symbol that cannot be resolved is an exception where the older one ends the process.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..lazy import uncollected, undivided
from . import disk
from .target import Target

_SOURCES = ("kernel", "native")  # the folders whose code decides what is generated for a key
_OPTIMISE = 1  # LLVM's -O1 for functions: SROA, CSE, instcombine, loop rotation, LICM; level 2 found little more to do
_CODE, _QUICK_CODE = 2, 0  # levels of machine code; the second takes a quarter of the time of the first

# Functions written as they are to be: of ``tiles.py``; and regions of ``driver.py``, calls one after another
_FINISHED = ("tile_", "dot_", "pack_", "region")

_numbers = itertools.count()
_loaded: weakref.WeakValueDictionary[Any, Library] = weakref.WeakValueDictionary()


class Library:
    """Machine code in memory, for as long as this object lives.

    Attributes
    ----------
    addresses : of functions and variables that other code may use, by name
    cached : whether it came from disk
    seconds : spent to make and load it
    """

    __slots__ = ("__weakref__", "_resource", "addresses", "cached", "seconds")

    def __init__(self, resource: Any, addresses: dict[str, int], cached: bool, seconds: float) -> None:
        self._resource = resource
        self.addresses = addresses
        self.cached = cached
        self.seconds = seconds

    def address(self, name: str) -> int:
        """Where the function or variable is."""
        return self.addresses[name]


def load(
    key: str,
    make_text: Callable[[], str],
    target: Target,
    symbols: Mapping[str, int] | None = None,
    quick: bool = False,
) -> Library:
    """The library made from LLVM IR, from memory or disk if its like has been made before.

    Parameters
    ----------
    key : decides, with the target and this package's own code, what ``make_text`` returns
    make_text : writes the IR; called only if nothing was kept
    target : the machine, which must be able to run on this one
    symbols : addresses by name for what the IR declares; names not here are looked up in the process
    quick : whether code made quickly will do, since little time is spent in it; the same for a key at all times

    Raises
    ------
    RuntimeError
        LLVM refuses the text, or a symbol is not there.
    """
    started = time.perf_counter()
    given = dict(symbols or {})
    with uncollected():
        name = _entry_name(key, target)
        identity = (name, tuple(sorted(given.items())))
        library = _loaded.get(identity)
        if library is None:
            library = _from_disk(name, given, started) or _made(name, make_text(), target, given, started, quick)
            _loaded[identity] = library
    return library


def optimised(text: str, target: Target) -> str:
    """The IR as it is after LLVM's passes, without running it."""
    with undivided:
        return str(_optimise(text, target, _machine(target)))


def assembly(text: str, target: Target) -> str:
    """The machine code as text, without running it: the target may be another machine than this."""
    with undivided:
        machine = _machine(target)
        return str(machine.emit_assembly(_optimise(text, target, machine)))


def _from_disk(name: str, symbols: dict[str, int], started: float) -> Library | None:
    content = disk.read(name)
    if content is None:
        return None
    exports, _, code = content.partition(b"\0")
    try:
        return _link(code, exports.decode().split(), symbols, True, started)
    except RuntimeError:  # a symbol that this process lacks: compiling says which
        return None


def _made(name: str, text: str, target: Target, symbols: dict[str, int], started: float, quick: bool) -> Library:
    llvm = _llvm()
    machine = _machine(target, _QUICK_CODE if quick else _CODE)
    module = _optimise(text, target, machine, quick)
    exports = [
        value.name
        for value in itertools.chain(module.functions, module.global_variables)
        if not value.is_declaration and value.linkage == llvm.Linkage.external
    ]
    code = machine.emit_object(module)
    try:
        library = _link(code, exports, symbols, False, started)
    except RuntimeError as error:
        declared = [value.name for value in module.functions if value.is_declaration]
        missing = [n for n in declared if n[:5] != "llvm." and n not in symbols and not llvm.address_of_symbol(n)]
        raise RuntimeError(f"{error}; not found in this process: {', '.join(missing) or 'what LLVM added'}") from None
    disk.write(name, " ".join(exports).encode() + b"\0" + code)
    return library


def _link(code: bytes, exports: list[str], symbols: dict[str, int], cached: bool, started: float) -> Library:
    builder = _llvm().JITLibraryBuilder().add_object_img(code).add_current_process()
    for name in exports:
        builder.export_symbol(name)
    for name, address in symbols.items():
        builder.import_symbol(name, address)
    resource = builder.link(_linker(), f"glassgrad{next(_numbers)}")
    return Library(resource, {name: resource[name] for name in exports}, cached, time.perf_counter() - started)


def _optimise(text: str, target: Target, machine: Any, quick: bool = False) -> Any:
    """The text as a module, checked and simplified."""
    llvm = _llvm()
    layout = f'target datalayout = "{machine.target_data}"\ntarget triple = "{target.triple}"\n'
    module = llvm.parse_assembly(layout + text, llvm.create_context())
    module.verify()
    options = llvm.create_pipeline_tuning_options(_OPTIMISE)
    # Kernels are vectorised and unrolled where they are written; doing it again costs time and undoes it.
    options.loop_vectorization = options.slp_vectorization = options.loop_interleaving = options.loop_unrolling = False
    builder = llvm.create_pass_builder(machine, options)
    if "alwaysinline" in text:
        inline = llvm.create_new_module_pass_manager()
        inline.add_always_inliner_pass()
        inline.add_global_dead_code_eliminate_pass()
        inline.run(module, builder)
    passes, light = builder.getFunctionPassManager(), llvm.create_new_function_pass_manager()
    light.add_sroa_pass()
    light.add_simplify_cfg_pass()
    for function in module.functions:
        if not function.is_declaration:
            (light if quick or function.name.startswith(_FINISHED) else passes).run(function, builder)
    return module


@functools.cache
def _llvm() -> Any:
    """llvmlite's binding to LLVM, ready for this machine."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()
    return llvm


@functools.cache
def _machine(target: Target, level: int = _CODE) -> Any:
    llvm = _llvm()
    if target.triple != llvm.get_process_triple():
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
    chosen = llvm.Target.from_triple(target.triple)
    return chosen.create_target_machine(cpu=target.cpu, features=target.features, opt=level, reloc="pic", jit=True)


@functools.cache
def _linker() -> Any:
    llvm = _llvm()
    here = llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(jit=True)
    return llvm.create_lljit_compiler(here, use_jit_link=True, suppress_errors=True)


def _entry_name(key: str, target: Target) -> str:
    import llvmlite

    version = ".".join(map(str, _llvm().llvm_version_info))
    parts = (key, target.triple, target.cpu, target.features, version, llvmlite.__version__, _generator())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@functools.cache
def _generator() -> str:
    """A digest of the code that writes kernels: another version of it may write something else for the same key."""
    package = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for folder in _SOURCES:
        for file in sorted((package / folder).glob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()
