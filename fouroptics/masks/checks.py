"""Rules of the mask file that need no HDF5: version, layout, hashes. Imports no torch."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from fouroptics.masks import schema
from fouroptics.masks.maskset import Finding, bound
from fouroptics.masks.schema import DATASETS, OPTIONAL, Tree


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
    for path, (dtype, shape, _) in (DATASETS | OPTIONAL).items():
        if path not in arrays:
            if path in OPTIONAL:
                continue
            if path != "/entry/masks/phase" or tree.attributes.get("/entry/masks", {}).get("signal") == "phase":
                yield Finding("F-MISSING", path, "not there; save the masks again")
            continue
        array = arrays[path]
        wanted = {"u": "|u1" if bits <= 8 else "<u2", "S": f"|S{array.dtype.itemsize}"}.get(dtype, dtype)
        if array.dtype != np.dtype(wanted):
            yield Finding("F-DTYPE", path, f"{array.dtype}, not {np.dtype(wanted)}; save the masks again")
        expected = bound(shape, array.shape, sizes)
        if array.shape != expected:
            yield Finding("F-SHAPE", path, f"shape {array.shape}, not {expected} = ({shape}) for this panel and table")
    for path, array in arrays.items():
        yield from _array_findings(path, array, tree.attributes[path])
    if tree.attributes["/"].get("manifest_sha256") != schema.manifest(tree):
        yield Finding(
            "F-MANIFEST", "/@manifest_sha256", "attributes or datasets were changed or swapped; copy it again"
        )


def _array_findings(path: str, array: np.ndarray, attributes: dict[str, Any]) -> Iterator[Finding]:
    if attributes.get("sha256") != schema.digest(array):
        yield Finding("F-HASH", path, "its bytes are not those that were saved; copy the file again")
    if array.dtype.kind == "S":
        try:
            np.char.decode(array, "utf-8")
        except UnicodeDecodeError as error:
            yield Finding("F-DTYPE", path, f"not UTF-8 ({error}); save the masks again")
    elif array.dtype.kind != "b":
        units, known = attributes.get("units"), schema.unit(path)
        if units is None or known not in (None, units):
            yield Finding("F-UNITS", path, f"units {units!r}, not {known or 'a unit'!r}; save the masks again")
        if array.dtype.kind == "f" and path not in schema.FRAMES and not np.isfinite(array).all():
            yield Finding("F-FINITE", path, "a value is not finite; make the masks again")


def derived_findings(tree: Tree, parts: dict[str, Any]) -> Iterator[Finding]:
    """Yield what does not follow from the panel, for a complete tree and its `schema.content`."""
    for path, expected in schema.derived(parts["slm"], len(parts["gray"])).items():
        found = tree.arrays[path]
        same = np.allclose(found, expected, rtol=1e-9, atol=0) if found.dtype.kind == "f" else np.all(found == expected)
        if not same:
            yield Finding("F-DERIVED", path, "not what follows from the panel; save the masks again")
