"""The mask file: HDF5 that a lab computer reads without us, checked byte for byte. Imports no torch.

The layout is the table in `fouroptics.masks.schema`. Lengths are in metres as everywhere, only the plot axes in um.

Codes of `verify`: F-FILE (missing, cut short, not HDF5), F-FORMAT, F-VERSION; F-LINK (soft, external or second link,
virtual or external storage), F-FILTER, F-SIZE, F-READ; F-MISSING, F-DTYPE, F-SHAPE, F-UNITS; F-HASH (one dataset),
F-MANIFEST (a swap, an attribute); F-FINITE, F-PHASE, F-GREY, F-LEVELS (grey is not the phase's), F-KERNELS, F-SLM,
F-DERIVED (axes or grey table are not the panel's).
"""

import math
import os
import warnings
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from fouroptics.devices.panel import shown_phase
from fouroptics.errors import BundleError, ConfigError
from fouroptics.masks import checks, schema
from fouroptics.masks.maskset import Finding, KernelTable, MaskSet, frame_findings, table_findings
from fouroptics.masks.schema import Tree

MAX_BYTES = 2**34  #: of all arrays of a file together
MAX_OBJECTS = 2000
MAX_ATTRIBUTE = 2**14  #: bytes
MAX_DEFLATE = 1100  #: zlib packs 1032 to 1 at best: a larger ratio is a shape without data
_FILTERS = {h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_FLETCHER32}


def save(path: str | Path, masks: MaskSet, *, keep_phase: bool = True) -> None:
    """Write a mask file; a crash at any moment leaves the old file or the new one under `path`.

    The same masks make the same bytes. The creation time is SOURCE_DATE_EPOCH, else ``provenance["created"]``.

    Parameters
    ----------
    path : str or Path
        File to write; ``<path>.partial`` in the same folder is used on the way.
    masks : MaskSet
        M masks of H x W pixels.
    keep_phase : bool
        Without it the file holds the grey levels alone, and `load` gives the phase that they stand for.

    Raises
    ------
    BundleError
        If the file could not hold the masks; nothing is written then.
    OSError
        If the folder is missing or the disk is full; the old file stays.
    """
    if not keep_phase and masks.slm.modulation != "phase":
        raise BundleError(f"slm: levels of modulation = {masks.slm.modulation!r} stand for no phase; keep the phase")
    path, tree = Path(path), schema.tree(masks, keep_phase)
    size = sum(array.nbytes for array in tree.arrays.values())
    if size > MAX_BYTES or masks.phase[0].nbytes >= 2**32:  # HDF5 ends a chunk at 4 GiB
        limit = f"{MAX_BYTES / 2**30:.0f} GiB, 4 GiB a mask"
        raise BundleError(f"{size / 2**30:.1f} GiB of masks; a file holds {limit}: save them in parts")
    schema.seal(tree)
    partial = path.with_name(f"{path.name}.partial")
    try:
        _write(partial, tree)
        _to_disk(partial)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    if os.name != "nt":  # Windows opens no folders
        _to_disk(path.parent)


def load(path: str | Path) -> MaskSet:
    """Read a mask file after the same checks as `verify`.

    Returns
    -------
    MaskSet
        Equal to the one saved. From a file without phase, the phase is the one that the grey levels stand for.

    Raises
    ------
    BundleError
        If `verify` finds an error.

    Warns
    -----
    UserWarning
        If the schema has a newer minor version: what this version does not know is left out.
    """
    findings, parts = _inspect(Path(path))
    errors = _errors(findings)
    if errors:
        more = f" ({len(errors) - 1} more: run verify)" if len(errors) > 1 else ""
        raise BundleError(f"{path}: {errors[0]}{more}")
    for finding in findings:
        warnings.warn(f"{path}: {finding}", UserWarning, stacklevel=2)
    if parts["phase"] is None:
        parts["phase"] = _shown(parts["gray"], parts["slm"])
    try:
        parts["kernels"] = KernelTable(**parts["kernels"])
        return MaskSet(**parts)
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from None


def verify(path: str | Path) -> list[Finding]:
    """Check a mask file; never raises on a bad one.

    Returns
    -------
    list of Finding
        Empty for a good file. The codes are listed at the top of this module.
    """
    findings, parts = _inspect(Path(path))
    if not parts:
        return findings
    frames = frame_findings(parts["phase"], parts["gray"], parts["slm"])
    rows = table_findings(parts["kernels"], len(parts["gray"]))
    for found in chain(frames, rows):
        where = "/entry/" if found.path.startswith("kernels") else "/entry/masks/"
        findings.append(Finding(found.code, where + found.path, found.message))
    return findings


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _errors(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity == "error"]


def _shown(gray: np.ndarray, slm: Any) -> np.ndarray:
    phase = np.empty(gray.shape, np.float32)
    for i, levels in enumerate(gray):
        phase[i] = shown_phase(slm, levels)
    phase.flags.writeable = False
    return phase


def _inspect(path: Path) -> tuple[list[Finding], dict[str, Any]]:
    """Findings about the file and its layout and, where that is whole, the fields of its `MaskSet`."""
    tree, findings = _read(path)
    if any(found.severity == "error" and found.code in ("F-FILE", "F-FORMAT", "F-VERSION") for found in findings):
        return findings, {}
    refused = {finding.path for finding in findings}
    layout = checks.layout_findings(tree)
    findings += [found for found in layout if not (found.code == "F-MISSING" and found.path in refused)]
    if _errors(findings):
        return findings, {}
    try:
        parts = schema.content(tree)
    except ConfigError as error:
        return [*findings, Finding("F-SLM", "/entry/slm", str(error))], {}
    return [*findings, *checks.derived_findings(tree, parts)], parts


def _write(path: Path, tree: Tree) -> None:
    # sorted and without times: the same bytes each time; the format of 1.10: all its metadata have checksums
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        for name in sorted(tree.attributes):
            node = _put(file, name, tree.arrays[name]) if name in tree.arrays else file.require_group(name)
            for key, value in sorted(tree.attributes[name].items()):
                array = _stored(np.array(value))
                node.attrs.create(key, array, dtype=array.dtype)
        file.flush()


def _put(file: h5py.File, name: str, array: np.ndarray) -> h5py.Dataset:
    if name not in schema.FRAMES:
        return file.create_dataset(name, data=_stored(array), track_times=False)
    return file.create_dataset(
        name,
        data=array,
        chunks=(1,) * (array.ndim - 2) + array.shape[-2:],  # one mask
        shuffle=True,
        compression="gzip",
        compression_opts=1,
        fletcher32=True,
        track_times=False,
    )


def _stored(array: np.ndarray) -> np.ndarray:
    array = np.char.encode(array, "utf-8") if array.dtype.kind == "U" else array
    if array.dtype.kind != "S":
        return array
    return array.astype(h5py.string_dtype("utf-8", max(1, array.dtype.itemsize)))


def _read(path: Path) -> tuple[Tree, list[Finding]]:
    """Read all of a file that can be read safely, and say what cannot; links are not followed."""
    tree, findings = Tree(), []
    try:
        with h5py.File(path, "r") as file:
            findings += _attributes(file, "/", tree)
            version = checks.version_findings(tree.attributes["/"])
            findings += version
            for finding in () if _errors(version) else _walk(file, tree):
                findings.append(finding)  # one by one: what was found before HDF5 fails is kept
    except Exception as error:  # HDF5 fails in many ways on a damaged file
        findings.append(Finding("F-FILE", "/", f"{error}; the file is missing, cut short or damaged: copy it again"))
    return tree, findings


def _walk(file: h5py.File, tree: Tree) -> Iterator[Finding]:
    """Visit each object once, from the root down, and fill the tree."""
    groups, seen, budget = ["/"], {_address(file)}, MAX_BYTES
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
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink) or _address(group[name]) in seen:
                message = f"{type(link).__name__} to an object elsewhere, not followed; store a copy of its data"
                yield Finding("F-LINK", path, message)
                continue
            node = group[name]
            seen.add(_address(node))
            yield from _attributes(node, path, tree)
            if isinstance(node, h5py.Group):
                groups.append(path)
            elif refusal := _refusal(node, path, budget):
                yield refusal
            else:
                budget -= _size(node)
                yield from _array(node, path, tree)


def _array(node: Any, path: str, tree: Tree) -> Iterator[Finding]:
    try:
        array = np.asarray(node)
    except Exception as error:  # a filter, an allocation or HDF5 itself
        yield Finding("F-READ", path, f"{error}; the data are damaged: copy the file again")
        return
    array.flags.writeable = False
    tree.arrays[path] = array


def _address(node: Any) -> int:
    return h5py.h5o.get_info(node.id).addr  # pyright: ignore[reportAttributeAccessIssue]


def _size(node: Any) -> int:
    return math.prod(node.shape) * node.dtype.itemsize


def _refusal(node: Any, path: str, budget: int) -> Finding | None:
    """Say why a dataset must not be read, from its header alone."""
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
    size, stored = _size(node), node.id.get_storage_size()
    if size > budget:
        return Finding(
            "F-SIZE", path, f"shape {node.shape}: more than {MAX_BYTES / 2**30:.0f} GiB in all; save in parts"
        )
    if size > MAX_DEFLATE * stored or any(c > n for c, n in zip(node.chunks or (), node.shape, strict=False)):
        message = f"shape {node.shape} with chunks {node.chunks} cannot come from {stored} stored bytes; save it again"
        return Finding("F-SIZE", path, message)
    return None


def _plain(dtype: np.dtype) -> bool:
    return dtype.kind in "Siufb" and not dtype.hasobject


def _attributes(node: Any, path: str, tree: Tree) -> Iterator[Finding]:
    values = tree.attributes.setdefault(path, {})
    for name in sorted(node.attrs):
        identity = node.attrs.get_id(name)
        shape: Any = identity.shape
        if shape is None or not _plain(identity.dtype) or math.prod(shape) * identity.dtype.itemsize > MAX_ATTRIBUTE:
            message = (
                f"{identity.dtype} {shape}; store a number, a flag or a fixed-length text of {MAX_ATTRIBUTE} bytes"
            )
            yield Finding("F-DTYPE", f"{path}@{name}", message)
            continue
        array = np.asarray(node.attrs[name])
        values[name] = (np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array).tolist()
