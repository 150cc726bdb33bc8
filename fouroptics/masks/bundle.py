"""The mask file: HDF5 that a lab computer reads without us, checked byte for byte. Imports no torch.

The layout is the table in `fouroptics.masks.schema`. Lengths are in metres as everywhere, only the plot axes in um.

Codes of `verify`: F-FILE (missing, cut short, not HDF5), F-FORMAT, F-VERSION; F-LINK (soft, external or second link,
virtual or external storage), F-FILTER, F-SIZE, F-READ; F-MISSING, F-DTYPE, F-SHAPE, F-UNITS; F-HASH (one dataset),
F-MANIFEST (a swap, an attribute); F-FINITE, F-PHASE (not in [0, 2 pi), or of a panel without phases), F-GREY, F-LEVELS
(grey is not the phase's, or stands twice), F-KERNELS (table, pairs), F-SLM (panel, orientation), F-DERIVED (axes, grey
table, fiducial or what is said beside the levels are not the panel's).
"""

import os
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fouroptics.errors import BundleError, ConfigError
from fouroptics.masks import checks, hdf5, schema
from fouroptics.masks.checks import Progress
from fouroptics.masks.differences import Difference, differences
from fouroptics.masks.frames import Finding, Frames
from fouroptics.masks.maskset import KernelTable, MaskSet
from fouroptics.masks.schema import Tree

MAX_LOAD = 2**34  #: bytes of all frames together that `load` reads into memory


def save(path: str | Path, masks: MaskSet, *, keep_phase: bool = True, progress: Progress | None = None) -> None:
    """Write a mask file; a crash at any moment leaves the old file or the new one under `path`.

    The same masks make the same bytes. The creation time is SOURCE_DATE_EPOCH, else ``provenance["created"]``. Frames
    are written one by one: masks that are `Frames` never are in memory together.

    Parameters
    ----------
    path : str or Path
        File to write; ``<path>.partial`` in the same folder is used on the way.
    masks : MaskSet
        M masks of H x W pixels.
    keep_phase : bool
        Without it the file holds the grey levels alone, and `load` gives the phase that they stand for.
    progress : callable, optional
        Called with the number of frames that are written, and of all, phases and levels counted apart.

    Raises
    ------
    BundleError
        If the file could not hold the masks; nothing is written then.
    OSError
        If the folder is missing or the disk is full; the old file stays.
    """
    if not keep_phase and masks.slm.modulation == "coupled":
        raise BundleError(f"slm: levels of modulation = {masks.slm.modulation!r} stand for no phase; keep the phase")
    path, tree = Path(path), schema.tree(masks, keep_phase)
    _refuse_size(masks, tree)
    partial = path.with_name(f"{path.name}.partial")
    try:
        hdf5.write(partial, tree, schema.FRAMES, progress)
        hdf5.to_disk(partial)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    if os.name != "nt":  # Windows opens no folders
        hdf5.to_disk(path.parent)


def load(path: str | Path, *, lazy: bool = False, progress: Progress | None = None) -> MaskSet:
    """Read a mask file after the same checks as `verify`.

    Parameters
    ----------
    path : str or Path
        The file.
    lazy : bool
        Read, check and forget frame by frame; the masks' `phase` and `gray` then are `Frames`, which read the file
        again when they are asked for, and refuse it if it has changed.
    progress : callable, optional
        Called with the number of masks that are read, and of all.

    Returns
    -------
    MaskSet
        Equal to the one saved. From a file without phase, the phase is the one that the grey levels stand for.

    Raises
    ------
    BundleError
        If `verify` finds an error, or all frames together take more than 16 GiB and `lazy` is not set.

    Warns
    -----
    UserWarning
        If the schema has a newer minor version: what this version does not know is left out.
    """
    path = Path(path)
    tree, parts, findings = _inspect(path)
    _refuse(path, findings)
    stacks = {name: array for name, array in tree.arrays.items() if isinstance(array, Frames)}
    if lazy:
        found, look = checks.mask_rules(parts)
        kept = {name: replace(stack, checked=True) for name, stack in stacks.items()}
    else:
        found, kept = [], _memory(path, stacks)
        look = _keep(kept)
    _refuse(path, [*found, *checks.frame_pass(tree, look, progress)])
    for name, stack in kept.items():
        tree.arrays[name] = stack
        if isinstance(stack, np.ndarray):
            stack.flags.writeable = False  # so that no copy is made
    parts = schema.content(tree)
    for finding in findings:
        warnings.warn(f"{path}: {finding}", UserWarning, stacklevel=2)
    try:
        parts["kernels"] = KernelTable(**parts["kernels"])
        parts["gray"] = parts["gray"] if lazy else np.asarray(parts["gray"])
        return MaskSet(**parts)
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from None


def verify(path: str | Path, *, progress: Progress | None = None) -> list[Finding]:
    """Check a mask file; never raises on a bad one.

    Parameters
    ----------
    path : str or Path
        The file.
    progress : callable, optional
        Called with the number of masks that are checked, and of all.

    Returns
    -------
    list of Finding
        Empty for a good file. The codes are listed at the top of this module.
    """
    tree, parts, findings = _inspect(Path(path))
    found, look = checks.mask_rules(parts) if parts else ([], lambda i, seen: ())
    return [*findings, *found, *checks.frame_pass(tree, look, progress)]


def diff(a: str | Path, b: str | Path) -> list[Difference]:
    """Compare what two mask files hold: attributes, shapes and values, the frames one by one; hashes aside.

    Returns
    -------
    list of Difference
        Empty for files that hold the same.

    Raises
    ------
    BundleError
        If one cannot be read; `verify` says what is wrong with it.
    """
    trees: list[Tree] = []
    for path in (a, b):
        tree, findings = hdf5.read(Path(path), schema.STACKS, checks.version_findings)
        _refuse(Path(path), findings)
        trees.append(tree)
    try:
        return [*differences(*trees)]
    except OSError as error:
        raise BundleError(f"{a}, {b}: {error}; the frames of one are damaged: run verify on both") from None


def _refuse_size(masks: MaskSet, tree: Tree) -> None:
    """Refuse what no reader would take."""
    count, pixels = len(masks), masks.slm.shape[0] * masks.slm.shape[1]
    if 4 * pixels > hdf5.MAX_FRAME or count > hdf5.MAX_FRAMES:
        limit = f"{hdf5.MAX_FRAMES} masks of {hdf5.MAX_FRAME // 4} pixels"
        raise BundleError(f"{count} masks of {pixels} pixels; a file holds {limit}: save them in parts")
    size = sum(array.nbytes for name, array in tree.arrays.items() if name not in schema.STACKS)
    if size > hdf5.MAX_BYTES:
        raise BundleError(f"{size / 2**30:.1f} GiB beside the frames; a file holds {hdf5.MAX_BYTES / 2**30:.0f} GiB")


def _memory(path: Path, stacks: dict[str, Frames]) -> dict[str, np.ndarray]:
    """Arrays for the frames of all stacks."""
    size = sum(stack.nbytes for stack in stacks.values())
    try:
        if size > MAX_LOAD:
            raise MemoryError
        return {name: np.empty(stack.shape, stack.dtype) for name, stack in stacks.items()}
    except MemoryError:
        raise BundleError(
            f"{path}: {size / 2**30:.1f} GiB of frames do not fit the memory; read them with load(path, lazy=True)"
        ) from None


def _keep(whole: dict[str, np.ndarray]) -> checks.Look:
    def look(i: int, seen: dict[str, np.ndarray]) -> Iterator[Finding]:
        for name, frame in seen.items():
            whole[name][i] = frame
        yield from ()

    return look


def _errors(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity == "error"]


def _refuse(path: Path, findings: list[Finding]) -> None:
    errors = _errors(findings)
    if errors:
        more = f" ({len(errors) - 1} more: run verify)" if len(errors) > 1 else ""
        raise BundleError(f"{path}: {errors[0]}{more}")


def _inspect(path: Path) -> tuple[Tree, dict[str, Any], list[Finding]]:
    """All of a file but its frames, the fields of its `MaskSet` where the layout is whole, and what is wrong."""
    tree, findings = hdf5.read(path, schema.STACKS, checks.version_findings)
    if any(found.severity == "error" and found.code in ("F-FILE", "F-FORMAT", "F-VERSION") for found in findings):
        return Tree(), {}, findings
    refused = {finding.path for finding in findings}
    layout = checks.layout_findings(tree)
    findings += [found for found in layout if not (found.code == "F-MISSING" and found.path in refused)]
    if _errors(findings):
        return tree, {}, findings
    try:
        parts = schema.content(tree)
    except ConfigError as error:
        return tree, {}, [*findings, Finding("F-SLM", "/entry/slm", str(error))]
    return tree, parts, [*findings, *checks.derived_findings(tree, parts)]
