"""HDF5 as the files of masks use it: written to the same bytes each time, read without trust. Imports no torch."""

import math
import os
from collections.abc import Callable, Collection, Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from fouroptics.errors import BundleError
from fouroptics.masks import schema
from fouroptics.masks.frames import Finding, Frames
from fouroptics.masks.schema import Tree

MAX_OBJECTS = 2000
MAX_ATTRIBUTE = 2**14  #: bytes
MAX_BYTES = 2**30  #: of all arrays together that are read whole
MAX_FRAME = 2**28  #: bytes
MAX_FRAMES = 2**20
MAX_DEFLATE = 1100  #: zlib packs 1032 to 1 at best: a larger ratio is a shape without data
_LOW: Any = h5py  #: with its compiled modules, which type checkers do not see
_FILTERS = {h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_FLETCHER32}


def write(
    path: Path, tree: Tree, packed: Collection[str], progress: Callable[[int, int], object] | None = None
) -> None:
    """Write a tree and the hashes of it, frame by frame; the same tree makes the same bytes.

    Parameters
    ----------
    path : Path
        The file; what it held is lost.
    tree : Tree
        Its hashes are added.
    packed : collection of str
        Datasets that are kept a frame a chunk, with shuffle, gzip and a checksum; a single frame may be one of them.
    progress : callable, optional
        Called with the number of frames written, and of all.
    """
    count, done = sum(len(array) for name, array in tree.arrays.items() if name in packed and array.ndim == 3), 0

    def tick() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, count)

    # sorted and without times: the same bytes each time; the format of 1.10: all its metadata have checksums
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        for name in sorted(tree.attributes):
            if name in tree.arrays:
                tree.attributes[name]["sha256"] = _put(file, name, tree.arrays[name], name in packed, tick)
            else:
                file.require_group(name)
        tree.attributes["/"]["manifest_sha256"] = schema.manifest(tree)
        for name in sorted(tree.attributes):
            for key, value in sorted(tree.attributes[name].items()):
                array = _stored(np.array(value))
                file[name].attrs.create(key, array, dtype=array.dtype)
        file.flush()


def to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _put(file: h5py.File, name: str, array: Any, packed: bool, tick: Callable[[], None]) -> str:
    """Write one array, and return its hash."""
    if not packed:
        file.create_dataset(name, data=_stored(array), track_times=False)
        return schema.digest(array)
    node = file.create_dataset(
        name,
        array.shape,
        array.dtype,
        chunks=(1,) * (array.ndim - 2) + array.shape[-2:],  # one mask
        shuffle=True,
        compression="gzip",
        compression_opts=1,
        fletcher32=True,
        track_times=False,
    )
    if array.ndim == 2:
        node[...] = array
        return schema.digest(array)
    total = sha256()
    for i, frame in enumerate(array):
        node[i] = frame
        total.update(schema.plain_bytes(frame))
        tick()
    return total.hexdigest()


def _stored(array: np.ndarray) -> np.ndarray:
    array = np.char.encode(array, "utf-8") if array.dtype.kind == "U" else array
    if array.dtype.kind != "S":
        return array
    return array.astype(h5py.string_dtype("utf-8", max(1, array.dtype.itemsize)))


def read(
    path: Path, stacks: Collection[str], refuse: Callable[[dict[str, Any]], list[Finding]]
) -> tuple[Tree, list[Finding]]:
    """Read all of a file that can be read safely, and say what cannot; links are not followed.

    Parameters
    ----------
    path : Path
        The file.
    stacks : collection of str
        Three-dimensional datasets whose frames are left in the file: `Frames`, which read it when they are asked for.
    refuse : callable
        Says of the attributes of the root what is wrong with the format; after an error nothing more is read.
    """
    tree, findings = Tree(), []
    try:
        with h5py.File(path, "r") as file:
            findings += _attributes(file, "/", tree)
            findings += (version := refuse(tree.attributes["/"]))
            later = partial(_later, path.absolute(), _stamp(path))
            for finding in () if any(one.severity == "error" for one in version) else _walk(file, tree, stacks, later):
                findings.append(finding)  # one by one: what was found before HDF5 fails is kept
    except Exception as error:  # HDF5 fails in many ways on a damaged file
        findings.append(Finding("F-FILE", "/", f"{error}; the file is missing, cut short or damaged: copy it again"))
    return tree, findings


def _walk(
    file: h5py.File, tree: Tree, stacks: Collection[str], later: Callable[[Any, str], Frames]
) -> Iterator[Finding]:
    """Visit each object once, from the root down, and fill the tree."""
    groups, seen, budget = ["/"], {_LOW.h5o.get_info(file.id).addr}, MAX_BYTES
    while groups:
        parent = groups.pop()
        group: Any = file[parent]
        if len(seen) + len(group) > MAX_OBJECTS:
            yield Finding(
                "F-SIZE", parent, f"{len(group)} members; a mask file has {MAX_OBJECTS} at most: save it again"
            )
            return
        for name in sorted(group):
            path = f"{parent.rstrip('/')}/{name}"
            link = group.id.links.get_info(name.encode("utf-8", "surrogateescape"))
            if link.type != _LOW.h5l.TYPE_HARD or link.u in seen:
                kind = {_LOW.h5l.TYPE_HARD: "second", _LOW.h5l.TYPE_SOFT: "soft"}.get(link.type, "external")
                yield Finding("F-LINK", path, f"a {kind} link to an object, not followed; store a copy of its data")
                continue
            node = group[name]
            seen.add(link.u)
            yield from _attributes(node, path, tree)
            if isinstance(node, h5py.Group):
                groups.append(path)
                continue
            stack = path in stacks and isinstance(node, h5py.Dataset) and node.ndim == 3
            if refused := refusal(node, path, budget, stack):
                yield refused
            elif stack:
                tree.arrays[path] = later(node, path)
            else:
                budget -= _size(node)
                yield from _array(node, path, tree)


def _later(path: Path, stamp: tuple[int, ...], node: Any, name: str) -> Frames:
    def frame(i: int) -> np.ndarray:
        if _stamp(path) != stamp:
            raise BundleError(f"{path}: was written anew since it was checked; load it again")
        with h5py.File(path, "r") as file:
            return file[name][i]  # pyright: ignore[reportIndexIssue, reportReturnType]

    return Frames(node.shape, node.dtype, frame)


def _stamp(path: Path) -> tuple[int, ...]:
    found = os.stat(path)
    return found.st_ino, found.st_size, found.st_mtime_ns


def _array(node: Any, path: str, tree: Tree) -> Iterator[Finding]:
    try:
        array = np.asarray(node)
    except Exception as error:  # a filter, an allocation or HDF5 itself
        yield Finding("F-READ", path, f"{error}; the data are damaged: copy the file again")
        return
    array.flags.writeable = False
    tree.arrays[path] = array


def _size(node: Any) -> int:
    return math.prod(node.shape) * node.dtype.itemsize


def refusal(node: Any, path: str, budget: int, stack: bool = False) -> Finding | None:
    """Say why a dataset must not be read, from its header alone; of a stack, one frame at a time is read."""
    if not isinstance(node, h5py.Dataset) or node.shape is None or not _plain(node.dtype):
        what = f"{node.dtype} " if isinstance(node, h5py.Dataset) else "a named type"
        return Finding("F-DTYPE", path, f"{what}; store numbers, flags or fixed-length texts")
    if node.is_virtual or node.external:
        return Finding("F-LINK", path, "its data are in other files, not followed; store a copy of them")
    properties: Any = node.id.get_create_plist()
    unknown = {properties.get_filter(i)[0] for i in range(properties.get_nfilters())} - _FILTERS
    if unknown:
        message = f"HDF5 filter {min(unknown)}; store it with shuffle, gzip and fletcher32 only"
        return Finding("F-FILTER", path, message)
    return _too_large(node, path, budget, stack)


def _too_large(node: Any, path: str, budget: int, stack: bool) -> Finding | None:
    """Say what of a dataset would take more memory than it may, or than the file can fill."""
    size, stored, chunks = _size(node), node.id.get_storage_size(), node.chunks or ()
    frame = size // max(len(node), 1) if stack else 0
    if stack and (frame > MAX_FRAME or len(node) > MAX_FRAMES or (chunks and chunks[0] != 1)):
        limit = f"{MAX_FRAMES} frames of {MAX_FRAME / 2**20:.0f} MiB in chunks of one"
        return Finding("F-SIZE", path, f"shape {node.shape} with chunks {chunks}; {limit} are read: save in parts")
    if not stack and size > budget:
        return Finding("F-SIZE", path, f"shape {node.shape}: more than {budget / 2**30:.1f} GiB; make it smaller")
    if size > MAX_DEFLATE * stored or any(c > n for c, n in zip(chunks, node.shape, strict=False)):
        message = f"shape {node.shape} with chunks {node.chunks} cannot come from {stored} stored bytes; save it again"
        return Finding("F-SIZE", path, message)
    return None


def _plain(dtype: np.dtype) -> bool:
    return dtype.kind in "Siufcb" and not dtype.hasobject


def _attributes(node: Any, path: str, tree: Tree) -> Iterator[Finding]:
    values, attributes = tree.attributes.setdefault(path, {}), node.attrs
    for name in sorted(attributes):
        found = attributes.get_id(name)
        shape: Any = found.shape
        dtype = found.dtype
        plain = _plain(dtype) and dtype.kind != "c"
        if shape is None or not plain or math.prod(shape) * dtype.itemsize > MAX_ATTRIBUTE:
            message = f"{dtype} {shape}; store a number, a flag or a fixed-length text of {MAX_ATTRIBUTE} bytes"
            yield Finding("F-DTYPE", f"{path}@{name}", message)
            continue
        array: Any = np.empty(shape, dtype)
        found.read(array)
        values[name] = (np.char.decode(array, "utf-8") if dtype.kind == "S" else array).tolist()
