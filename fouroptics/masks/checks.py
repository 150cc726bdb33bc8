"""Rules of the mask file that need no HDF5: version, layout, hashes, frames. Imports no torch."""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from fouroptics.masks import frames, schema
from fouroptics.masks.frames import Finding, Frames
from fouroptics.masks.maskset import bound, table_findings
from fouroptics.masks.schema import DATASETS, OPTIONAL, STACKS, Tree

#: Called with the number of frames that are done, and of all.
Progress: TypeAlias = Callable[[int, int], object]
#: Called with i and the frames i of all stacks by path; yields what is wrong with them.
Look: TypeAlias = Callable[[int, dict[str, np.ndarray]], Iterable[Finding]]

PHASE, GRAY, BITS = STACKS


def version_findings(root: dict[str, Any]) -> list[Finding]:
    """Say whether these attributes of the root are those of a mask file that this version reads."""
    name, version, (major, minor, _) = root.get("file_format"), root.get("schema_version"), schema.VERSION.split(".")
    if name != schema.FORMAT:
        return [Finding("F-FORMAT", "/@file_format", f"{name!r}, not {schema.FORMAT!r}; give a file of `masks make`")]
    found = re.fullmatch(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})", str(version))
    if not found or found[1] != major:
        message = f"schema {version!r}; this version reads {major}.x.x: update fouroptics, or make the masks again"
        return [Finding("F-VERSION", "/@schema_version", message)]
    if int(found[2]) > int(minor):
        message = f"schema {version} is newer than {schema.VERSION}; what is new is left out: update fouroptics"
        return [Finding("F-VERSION", "/@schema_version", message, "warning")]
    return []


def layout_findings(tree: Tree) -> Iterator[Finding]:
    """Yield what is missing, of the wrong kind, shape or unit, or not what the hashes say."""
    arrays = tree.arrays
    scalars = {
        name: arrays.get(f"/entry/slm/{key}") for name, key in (("H", "height"), ("W", "width"), ("b", "bitdepth"))
    }
    sizes = {
        name: int(array)
        for name, array in scalars.items()
        if array is not None and array.shape == () and array.dtype.kind == "i"
    }
    bits = sizes.get("b", 8)
    sizes["L"] = 2**bits if 0 < bits <= 16 else -1
    sizes["B"] = -(-sizes.get("W", 0) // 8)
    yield from _missing(tree)
    for path, (dtype, shape, _) in (DATASETS | STACKS | OPTIONAL).items():
        if path not in arrays:
            continue
        array = arrays[path]
        wanted = {"u": "|u1" if bits <= 8 else "<u2", "S": f"|S{array.dtype.itemsize}"}.get(dtype, dtype)
        if array.dtype not in [np.dtype(one) for one in wanted.split()]:
            yield Finding("F-DTYPE", path, f"{array.dtype}, not {wanted}; save the masks again")
        expected = bound(shape, array.shape, sizes)
        if array.shape != expected:
            yield Finding("F-SHAPE", path, f"shape {array.shape}, not {expected} = ({shape}) for this panel and table")
    for path, array in arrays.items():
        yield from _array_findings(path, array, tree.attributes[path])
    if tree.attributes["/"].get("manifest_sha256") != schema.manifest(tree):
        yield Finding(
            "F-MANIFEST", "/@manifest_sha256", "attributes or datasets were changed or swapped; copy it again"
        )


def _missing(tree: Tree) -> Iterator[Finding]:
    arrays, signal = tree.arrays, tree.attributes.get("/entry/masks", {}).get("signal")
    wanted = [*DATASETS, *([PHASE] if signal == "phase" else []), *([] if BITS in arrays else [GRAY])]
    for path in wanted:
        if path not in arrays:
            yield Finding("F-MISSING", path, "not there; save the masks again")
    if GRAY in arrays and BITS in arrays:
        yield Finding("F-LEVELS", GRAY, "levels stand twice, here and in bits; save the masks again")


def _hash_finding(path: str, expected: Any, found: str) -> Iterator[Finding]:
    if expected != found:
        yield Finding("F-HASH", path, "its bytes are not those that were saved; copy the file again")


def _array_findings(path: str, array: Any, attributes: dict[str, Any]) -> Iterator[Finding]:
    if not isinstance(array, Frames):  # those are read once, by `frame_pass`
        yield from _hash_finding(path, attributes.get("sha256"), schema.digest(array))
    if array.dtype.kind == "S" and not isinstance(array, Frames):
        try:
            np.char.decode(array, "utf-8")
        except UnicodeDecodeError as error:
            yield Finding("F-DTYPE", path, f"not UTF-8 ({error}); save the masks again")
    elif array.dtype.kind not in "Sb":
        units, known = attributes.get("units"), schema.unit(path)
        if units is None or known not in (None, units):
            yield Finding("F-UNITS", path, f"units {units!r}, not {known or 'a unit'!r}; save the masks again")
        if array.dtype.kind in "fc" and path not in schema.FRAMES and not np.isfinite(array).all():
            yield Finding("F-FINITE", path, "a value is not finite; make the masks again")


def derived_findings(tree: Tree, parts: dict[str, Any]) -> Iterator[Finding]:
    """Yield what does not follow from the panel, for a complete tree and its `schema.content`."""
    slm, remedy = parts["slm"], "not what follows from the panel; save the masks again"
    expected = schema.derived(slm, len(parts["gray"])) | {"/entry/fiducial/gray": schema.fiducial(slm)}
    for path, wanted in expected.items():
        found = tree.arrays[path]
        same = np.allclose(found, wanted, rtol=1e-9, atol=0) if found.dtype.kind == "f" else np.all(found == wanted)
        if not same:
            yield Finding("F-DERIVED", path, remedy)
    corrected = "/entry/provenance/corrections" in tree.arrays
    for path, attributes in schema.level_attributes(slm, corrected).items():
        for name, value in attributes.items() if path in tree.arrays else ():
            if tree.attributes[path].get(name) != value:
                yield Finding("F-DERIVED", f"{path}@{name}", remedy)
    if BITS in tree.arrays and slm.modulation != "binary":
        yield Finding("F-SLM", BITS, f"bits for a panel with modulation = {slm.modulation!r}; save the masks again")


def frame_pass(tree: Tree, look: Look, progress: Progress | None = None) -> Iterator[Finding]:
    """Read each frame of the stacks once, one after the other, look at it, and compare the hashes at the end."""
    stacks = {path: array for path, array in tree.arrays.items() if isinstance(array, Frames)}
    sums = {path: hashlib.sha256() for path in stacks}
    count = max(map(len, stacks.values()), default=0)
    for i in range(count):
        seen: dict[str, np.ndarray] = {}
        for path in [path for path, stack in stacks.items() if i < len(stack)]:
            try:
                seen[path] = stacks[path][i]
            except Exception as error:  # a filter, an allocation or HDF5 itself
                del stacks[path]
                yield Finding("F-READ", path, f"frame {i}: {error}; the data are damaged: copy the file again")
                continue
            sums[path].update(schema.plain_bytes(seen[path]))
        yield from look(i, seen)
        if progress is not None:
            progress(i + 1, count)
    for path in stacks:
        yield from _hash_finding(path, tree.attributes[path].get("sha256"), sums[path].hexdigest())


def mask_rules(parts: dict[str, Any]) -> tuple[list[Finding], Look]:
    """Return what is wrong with the fields of a `MaskSet` as a file has them, and the rules for its frames."""
    slm, known, other = parts["slm"], parts["phase"] is not None, frames.ambiguous(parts["slm"])
    found = [*frames.stack_findings(parts["phase"], parts["gray"], slm)]
    found += table_findings(parts["kernels"], len(parts["gray"]))

    def look(i: int, seen: dict[str, np.ndarray]) -> Iterator[Finding]:
        if GRAY in seen and (PHASE in seen or not known):
            wrong = frames.frame_findings(i, seen[PHASE] if known else None, seen[GRAY], slm, other)
            yield from map(_in_file, wrong)

    return [*map(_in_file, found)], look


def _in_file(found: Finding) -> Finding:
    return replace(found, path=f"/entry/{'' if found.path.startswith('kernels') else 'masks/'}{found.path}")
