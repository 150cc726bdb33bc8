"""Layout of a mask file, as a table: which arrays and attributes a `MaskSet` becomes, and back. Knows no HDF5."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import numpy as np

from fouroptics.devices.mirrors import DMDConfig
from fouroptics.devices.panel import SLMConfig, response
from fouroptics.devices.patterns import pack, unpack
from fouroptics.errors import BundleError
from fouroptics.masks.frames import Frames, Stack, has_phase
from fouroptics.masks.maskset import COLUMNS, OPTIONAL_COLUMNS, MaskSet

FORMAT = "fouroptics-masks"
VERSION = "1.2.0"

#: Fixed datasets: dtype ("S" text, "u" the panel's whole numbers), shape and unit.
#: M masks, panel H x W, L levels, K kernels of k x k taps.
DATASETS: dict[str, tuple[str, str, str]] = {
    "/entry/title": ("S", "", ""),
    "/entry/masks/index": ("<i4", "M", "1"),
    "/entry/masks/y": ("<f8", "H", "um"),
    "/entry/masks/x": ("<f8", "W", "um"),
    **{f"/entry/kernels/{name}": column for name, column in COLUMNS.items()},
    "/entry/kernels/encoding": ("S", "", ""),
    "/entry/kernels/layout": ("S", "", ""),
    "/entry/slm/model": ("S", "", ""),
    "/entry/slm/technology": ("S", "", ""),
    "/entry/slm/height": ("<i4", "", "1"),
    "/entry/slm/width": ("<i4", "", "1"),
    "/entry/slm/pitch_y": ("<f8", "", "m"),
    "/entry/slm/pitch_x": ("<f8", "", "m"),
    "/entry/slm/bitdepth": ("<i4", "", "1"),
    "/entry/slm/fill_factor": ("<f8", "", "1"),
    "/entry/slm/dead_amplitude": ("<f8", "", "1"),
    "/entry/slm/dead_phase": ("<f8", "", "rad"),
    "/entry/slm/gray_convention": ("S", "", ""),
    "/entry/slm/verified": ("|b1", "", ""),
    "/entry/slm/source": ("S", "", ""),
    "/entry/slm/orientation/fliplr": ("|b1", "", ""),
    "/entry/slm/orientation/flipud": ("|b1", "", ""),
    "/entry/slm/orientation/rot90": ("<i4", "", "1"),
    "/entry/slm/lut/gamma": ("<f8", "L", "2pi"),
    "/entry/slm/lut/levels": ("<u2", "L", "1"),
    "/entry/slm/lut/source": ("S", "", ""),
    "/entry/fiducial/gray": ("u", "H W", "1"),
}

#: Frames: levels are `gray`, or since 1.2 `bits` of mirrors, B = ceil(W / 8); `phase` may be left out.
STACKS: dict[str, tuple[str, str, str]] = {
    "/entry/masks/phase": ("<f4", "M H W", "rad"),
    "/entry/masks/gray": ("u", "M H W", "1"),
    "/entry/masks/bits": ("|u1", "M H B", "1"),
}

#: Datasets that a file has only where there is more to say: of the panel since 1.1, of kernels and mirrors since 1.2.
#: L levels, D dead pixels.
OPTIONAL: dict[str, tuple[str, str, str]] = {
    "/entry/slm/modulation": ("S", "", ""),
    "/entry/slm/stroke": ("<f8", "", "rad"),
    "/entry/slm/stroke_wavelength": ("<f8", "", "m"),
    "/entry/slm/lut/phase": ("<f8", "L", "rad"),
    "/entry/slm/lut/amplitude": ("<f8", "L", "1"),
    "/entry/slm/crosstalk": ("<f8", "", "px"),
    "/entry/slm/flicker": ("<f8", "", "rad"),
    "/entry/slm/dead_pixels": ("<i4", "D 3", "1"),
    "/entry/slm/rise_time": ("<f8", "", "s"),
    "/entry/slm/fall_time": ("<f8", "", "s"),
    "/entry/slm/upload_time": ("<f8", "", "s"),
    "/entry/slm/refresh_rate": ("<f8", "", "Hz"),
    "/entry/slm/reflectivity": ("<f8", "", "1"),
    "/entry/slm/mirror_tilt": ("<f8", "", "rad"),
    **{f"/entry/kernels/{name}": column for name, column in OPTIONAL_COLUMNS.items()},
}
_FIXED = DATASETS | STACKS | OPTIONAL

#: Whole frames: one chunk a mask, packed.
FRAMES = (*STACKS, "/entry/fiducial/gray")

#: Units of the instrument's numbers, SI as in code. Whole numbers that are not listed are counts, in "1".
INSTRUMENT_UNITS: dict[str, str] = {
    **dict.fromkeys(("beam/incident_wavelength", "beam/bandwidth", "beam/beam_waist"), "m"),
    "beam/power": "W",
    **dict.fromkeys(("optics/f1", "optics/f2", "optics/diameter1", "optics/diameter2", "optics/input_pitch"), "m"),
    **dict.fromkeys(("optics/magnification", "optics/na", "optics/pixel_fill"), "1"),
    **dict.fromkeys(("detector/x_pixel_size", "detector/y_pixel_size"), "m"),
    "detector/count_time": "s",
    "detector/mean_photons": "1",
    "detector/reference": "1",
    **dict.fromkeys(("detector/emva/K", "detector/emva/QE", "detector/emva/sigma_d"), "1"),
    "detector/emva/full_well": "1",
    "detector/emva/dark_current": "1/s",
}
_INSTRUMENT = "/entry/instrument/"
_CLASSES = {
    "/": "NXroot",
    "/entry": "NXentry",
    "/entry/masks": "NXdata",
    "/entry/instrument": "NXinstrument",
    "/entry/instrument/beam": "NXbeam",
    "/entry/instrument/detector": "NXdetector",
    "/entry/provenance": "NXprocess",
}


#: Where each field of the panel's configuration is kept; its shape is in height and width.
PANEL = {
    "name": "model",
    "pitch": "pitch_x",
    "bits": "bitdepth",
    "fill_factor": "fill_factor",
    "dead_amplitude": "dead_amplitude",
    "dead_phase": "dead_phase",
    "grey": "gray_convention",
    "verified": "verified",
    "source": "source",
    "table_source": "lut/source",
    "modulation": "modulation",
    "stroke": "stroke",
    "stroke_wavelength": "stroke_wavelength",
    "table": "lut/phase",
    "amplitudes": "lut/amplitude",
    "crosstalk": "crosstalk",
    "flicker": "flicker",
    "dead_pixels": "dead_pixels",
    "rise_time": "rise_time",
    "fall_time": "fall_time",
    "upload_time": "upload_time",
    "refresh_rate": "refresh_rate",
    "reflectivity": "reflectivity",  # of a `DMDConfig`, as the next: a file that has it is of one
    "mirror_tilt": "mirror_tilt",
}


@dataclass(frozen=True)
class Tree:
    """A file as plain Python: arrays, or `Frames`, by dataset path, attributes by the path of a group or dataset."""

    arrays: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, dict[str, Any]] = field(default_factory=dict)


def tree(masks: MaskSet, keep_phase: bool = True) -> Tree:
    """Lay out a mask set, all but its hashes.

    Raises
    ------
    BundleError
        If the instrument holds a number without a known unit, a text that UTF-8 cannot hold, SOURCE_DATE_EPOCH is
        no number of seconds, or the panel is none that a file holds.
    """
    frames = _frames(masks, keep_phase)
    provenance = {key: item for key, item in masks.provenance.items() if key != "created"}
    groups = {"/"}
    arrays = {
        "/entry/title": _text(f"{len(masks)} masks, {len(masks.kernels)} kernels, {masks.slm.name}"),
        **frames,
        **{f"/entry/kernels/{name}": column for name, column in masks.kernels.columns().items()},
        "/entry/kernels/encoding": _text(masks.encoding),
        "/entry/kernels/layout": _text(masks.layout),
        **_panel(masks.slm),
        "/entry/fiducial/gray": fiducial(masks.slm),
        **derived(masks.slm, len(masks)),
        **_flat("/entry/instrument", masks.instrument, groups),
        **_flat("/entry/provenance", provenance, groups),
    }
    groups |= {path[:end] for path in arrays for end in range(1, len(path)) if path[end] == "/"}
    attributes: dict[str, dict[str, Any]] = {path: {"NX_class": _CLASSES.get(path, "NXcollection")} for path in groups}
    attributes |= {path: _units(path, array) for path, array in arrays.items()}
    attributes["/"] |= _origin(masks.provenance)
    attributes["/entry"]["default"] = "masks"
    signal, *others = (path.rpartition("/")[2] for path in frames)
    attributes["/entry/masks"] |= {"signal": signal, "axes": ["index", "y", "." if signal == "bits" else "x"]}
    attributes["/entry/masks"] |= {"auxiliary_signals": others} if others else {}
    for path, known in level_attributes(masks.slm, "corrections" in provenance).items():
        attributes.get(path, {}).update(known)
    return Tree(arrays, attributes)


def _frames(masks: MaskSet, keep_phase: bool) -> dict[str, Stack]:
    """Stacks of a file, the one that a plot shows first."""
    if masks.slm.modulation == "binary":
        gray, (count, height, width) = masks.gray, masks.gray.shape
        packed = (count, height, -(-width // 8))
        return {"/entry/masks/bits": Frames(packed, np.dtype(np.uint8), lambda i: pack(gray[i]))}
    phase = {"/entry/masks/phase": masks.phase} if keep_phase and masks.phase is not None else {}
    return phase | {"/entry/masks/gray": masks.gray}


def level_attributes(slm: SLMConfig, corrected: bool) -> dict[str, dict[str, Any]]:
    """Return what a file says beside the levels, for programs that read nothing else."""
    grey = {"bitdepth": slm.bits, "gray_convention": slm.grey, "includes_correction": corrected}
    bits = {"bitorder": "big", "width": slm.shape[1], "on_value": 1}
    return {"/entry/masks/gray": grey, "/entry/masks/bits": bits}


def seal(tree: Tree) -> None:
    """Add the hashes: ``sha256`` of each dataset, ``manifest_sha256`` of all attributes and so of all datasets."""
    for path, array in tree.arrays.items():
        tree.attributes[path]["sha256"] = digest(array)
    tree.attributes["/"]["manifest_sha256"] = manifest(tree)


def digest(array: Stack) -> str:
    """SHA-256 of the bytes of an array, or of `Frames`, in C order, little-endian."""
    total = hashlib.sha256()
    for part in array if isinstance(array, Frames) else [array]:
        total.update(plain_bytes(part))
    return total.hexdigest()


def plain_bytes(array: np.ndarray) -> memoryview:
    """Bytes of an array in C order, little-endian."""
    plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return plain.reshape(-1).view(np.uint8).data


def manifest(tree: Tree) -> str:
    """SHA-256 of the sorted lines ``["path", "name", value]`` (JSON) of all attributes but the manifest itself."""
    lines = [
        json.dumps([path, name, value])
        for path, attributes in tree.attributes.items()
        for name, value in attributes.items()
        if name != "manifest_sha256"
    ]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def unit(path: str) -> str | None:
    """Unit of a number in the file, None where the layout fixes none."""
    return _FIXED[path][2] if path in _FIXED else INSTRUMENT_UNITS.get(path.removeprefix(_INSTRUMENT))


def content(tree: Tree) -> dict[str, Any]:
    """Return what a complete tree holds: the fields of a `MaskSet`, with kernels as a dict of columns.

    ``phase`` is None where the file has none, and of a panel without phases, for which versions before 1.2 kept one.

    Raises
    ------
    ConfigError
        If the panel's fields are no `SLMConfig`, or no `DMDConfig`.
    """
    arrays, root = tree.arrays, tree.attributes["/"]
    kept = {name: f"/entry/slm/{key}" for name, key in PANEL.items()}
    panel = {name: value(arrays[path]) for name, path in kept.items() if path in arrays}
    panel["shape"] = tuple(value(arrays[f"/entry/slm/{side}"]) for side in ("height", "width"))
    panel["orientation"] = _nested("/entry/slm/orientation", tree)
    slm = (DMDConfig if "reflectivity" in panel else SLMConfig)(**panel)
    columns = {name: f"/entry/kernels/{name}" for name in COLUMNS | OPTIONAL_COLUMNS}
    return {
        "phase": arrays.get("/entry/masks/phase") if has_phase(slm) else None,
        "gray": _levels(arrays, slm.shape[1]),
        "kernels": {name: arrays[path] for name, path in columns.items() if path in arrays},
        "slm": slm,
        "instrument": _nested("/entry/instrument", tree),
        "provenance": _nested("/entry/provenance", tree) | {key: root[key] for key in ("created",) if key in root},
        "encoding": value(arrays["/entry/kernels/encoding"]),
        "layout": value(arrays["/entry/kernels/layout"]),
    }


def _levels(arrays: Mapping[str, Stack], width: int) -> Stack:
    bits = arrays.get("/entry/masks/bits")
    if bits is None:
        return arrays["/entry/masks/gray"]
    shape, checked = (*bits.shape[:2], width), getattr(bits, "checked", False)
    return Frames(shape, np.dtype(np.uint8), lambda i: unpack(bits[i], width), checked)


def derived(slm: SLMConfig, count: int) -> dict[str, np.ndarray]:
    """Arrays that follow from the panel and from the number of masks: axes, grey table for slmsuite's set_gamma."""
    (height, width), grey = slm.shape, np.arange(2**slm.bits)
    turns = response(slm).phase / (2 * np.pi) * (-1 if slm.grey == "slmsuite" else 1)
    return {
        "/entry/masks/index": np.arange(count, dtype="<i4"),
        "/entry/masks/y": (np.arange(height) - height // 2) * (slm.pitch * 1e6),
        "/entry/masks/x": (np.arange(width) - width // 2) * (slm.pitch * 1e6),
        "/entry/slm/technology": _text("mirrors" if slm.modulation == "binary" else "lcos"),
        "/entry/slm/pitch_y": np.array(slm.pitch),
        "/entry/slm/lut/gamma": turns + (slm.table is None and slm.grey == "slmsuite"),
        "/entry/slm/lut/levels": grey.astype("<u2"),
    }


def _panel(slm: SLMConfig) -> dict[str, np.ndarray]:
    """Fields of a panel as they are kept; what is not known is left out."""
    if type(slm) not in (SLMConfig, DMDConfig):
        raise BundleError(f"slm: a {type(slm).__name__}, a mask file holds an SLMConfig or a DMDConfig; give one")
    if slm.stroke_map is not None or slm.flatness is not None:
        raise BundleError("slm: stroke_map and flatness belong to the bench, a mask file holds none; leave them out")
    fields = {f"/entry/slm/{key}": _array(getattr(slm, name)) for name, key in PANEL.items() if _known(slm, name)}
    fields |= {f"/entry/slm/{side}": np.array(n) for side, n in zip(("height", "width"), slm.shape, strict=True)}
    fields |= {f"/entry/slm/orientation/{key}": np.array(value) for key, value in slm.orientation}
    return {
        path: array if array.dtype.kind in "Sb" else array.astype(_FIXED[path][0]) for path, array in fields.items()
    }


def _known(slm: SLMConfig, name: str) -> bool:
    return getattr(slm, name, None) not in (None, ())


def fiducial(slm: SLMConfig) -> np.ndarray:
    """Return a grey mask (H, W) with a letter F, half a turn of phase, that no flip or rotation leaves the same."""
    height, width = slm.shape
    gray = np.zeros(slm.shape, np.uint8 if slm.bits <= 8 else np.uint16)
    top, left, stroke, ink = height // 8, width // 8, max(1, min(height, width) // 12), 2 ** (slm.bits - 1)
    gray[top : height - top, left : left + stroke] = ink
    gray[top : top + stroke, left : left + width // 2] = ink
    gray[height // 2 - stroke : height // 2, left : left + width // 3] = ink
    return gray


def _origin(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Root attributes; the clock is never asked, so that the same masks make the same file."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    created = provenance.get("created")
    if epoch is not None:
        try:
            created = datetime.fromtimestamp(int(epoch), UTC).isoformat()
        except (ValueError, OverflowError, OSError):
            raise BundleError(f"SOURCE_DATE_EPOCH = {epoch!r}: give whole seconds since 1970, or unset it") from None
    if created is not None and not isinstance(created, str):
        raise BundleError(f"provenance/created = {created!r}: give an ISO 8601 text")
    try:
        version = metadata.version("fouroptics")
    except metadata.PackageNotFoundError:
        version = "unknown"
    origin = {"default": "entry", "file_format": FORMAT, "schema_version": VERSION}
    origin |= {"creator": "fouroptics", "creator_version": version}
    return origin if created is None else origin | {"created": created}


def _units(path: str, array: np.ndarray) -> dict[str, Any]:
    if array.dtype.kind in "Sb":
        return {}
    known = unit(path)
    if known is None and array.dtype.kind == "f" and path.startswith(_INSTRUMENT):
        remedy = f"add it to INSTRUMENT_UNITS or use one of {', '.join(INSTRUMENT_UNITS)}"
        raise BundleError(f"instrument/{path.removeprefix(_INSTRUMENT)}: no unit is known for it; {remedy}")
    return {"units": known or "1"}


def _flat(prefix: str, nested: Mapping[str, Any], groups: set[str]) -> dict[str, np.ndarray]:
    groups.add(prefix)
    arrays: dict[str, np.ndarray] = {}
    for key, item in nested.items():
        path = f"{prefix}/{key}"
        arrays |= _flat(path, item, groups) if isinstance(item, Mapping) else {path: _array(item)}
    return arrays


def _nested(prefix: str, tree: Tree) -> dict[str, Any]:
    names = [path[len(prefix) + 1 :] for path in sorted(tree.attributes) if path.startswith(f"{prefix}/")]
    paths = {name: f"{prefix}/{name}" for name in names if "/" not in name}
    return {
        name: value(tree.arrays[path]) if path in tree.arrays else _nested(path, tree) for name, path in paths.items()
    }


def _array(value: Any) -> np.ndarray:
    array = np.array(value)
    return _text(value) if array.dtype.kind == "U" else array


def _text(value: Any) -> np.ndarray:
    """Encode a text, or a list of them, as fixed-length UTF-8."""
    try:
        array = np.char.encode(np.array(value), "utf-8")
    except UnicodeEncodeError:
        raise BundleError(f"{value!r}: not a text that UTF-8 can hold; take the half characters out") from None
    return array.astype(f"S{max(1, array.dtype.itemsize)}")


def value(array: np.ndarray) -> Any:
    """Plain Python for an array of numbers, flags or texts."""
    return (np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array).tolist()
