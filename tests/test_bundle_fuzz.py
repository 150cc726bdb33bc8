"""A damaged mask file is refused, or harmless: flips of single bits, truncations, contents swapped.

All runs in a child process, so that a crash, a hang or a huge allocation of the HDF5 library is a failed test. Harmless
is what `load` turns into masks equal to the original. Flips are spread over the whole file, metadata included.
"""

import itertools
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from test_maskset import mask_set

from fouroptics.masks import bundle
from fouroptics.masks.maskset import MaskSet

FLIPS, CUTS, SWAPS = 2000, 400, 80
GIB = 2**30
Damaged = Iterator[tuple[str, bytes]]


def masks() -> MaskSet:
    return mask_set(instrument={"beam": {"incident_wavelength": 633e-9}}, provenance={"created": "2026-01-02T03:04:05"})


def flips(path: Path, rng: np.random.Generator) -> Damaged:
    """One bit in each of `FLIPS` equal parts of the file."""
    whole = path.read_bytes()
    for place in ((np.arange(FLIPS) + rng.uniform(size=FLIPS)) * (len(whole) * 8 / FLIPS)).astype(int):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << (place % 8)
        yield f"bit {place}", bytes(damaged)


def cuts(path: Path, rng: np.random.Generator) -> Damaged:
    """The file cut short, also by a byte or two, and cut and filled up with zeros to its length."""
    whole = path.read_bytes()
    for size in {*rng.integers(len(whole), size=CUTS // 2).tolist(), 0, 1, 8, len(whole) - 2, len(whole) - 1}:
        yield f"cut to {size}", whole[:size]
        if any(whole[size:]):
            yield f"zeros from {size}", whole[:size].ljust(len(whole), b"\0")


def swaps(path: Path, _: np.random.Generator) -> Damaged:
    """The stored bytes of two datasets, or of two frames, of the same size exchanged, where they differ."""
    whole, blocks = path.read_bytes(), list[tuple[str, int, int]]()

    def visit(name: str, node: object) -> None:
        if isinstance(node, h5py.Dataset):
            chunks = [node.id.get_chunk_info(i) for i in range(node.id.get_num_chunks())] if node.chunks else []
            blocks.extend((f"{name}[{i}]", chunk.byte_offset, chunk.size) for i, chunk in enumerate(chunks))
            if (start := node.id.get_offset()) is not None:
                blocks.append((name, start, node.id.get_storage_size()))

    with h5py.File(path) as file:
        file.visititems(visit)
    for (name, a, size), (other, b, length) in itertools.combinations(blocks, 2):
        if size != length or whole[a : a + size] == whole[b : b + size]:
            continue
        damaged = bytearray(whole)
        damaged[a : a + size], damaged[b : b + size] = whole[b : b + size], whole[a : a + size]
        yield f"{name} and {other}", bytes(damaged)


def reserved() -> int:
    """Largest address space of this process so far, in bytes; 0 where the system does not say."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmPeak"))


def run(folder: Path, kind: Callable[[Path, np.random.Generator], Damaged]) -> None:
    """Try every damaged file of a kind; print how many were found, harmless, the rest, and the memory it took."""
    if sys.platform == "linux":
        import resource

        limit = reserved() + 8 * GIB  # the machine's memory is not at stake
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    original, path = masks(), folder / "good.h5"
    bundle.save(path, original)
    assert bundle.load(path) == original
    assert bundle.verify(path) == []
    before, counts = reserved(), Counter[str]()
    for what, content in kind(path, np.random.default_rng(6)):
        (folder / "damaged.h5").write_bytes(content)
        print(f"trying {what}", file=sys.stderr, flush=True)  # the last one is the one that crashed
        if bundle.verify(folder / "damaged.h5"):
            counts["found"] += 1
        elif bundle.load(folder / "damaged.h5") == original:
            counts["harmless"] += 1
        else:
            counts[f"MISSED: {what}"] += 1
    print(dict(counts) | {"bytes": reserved() - before})


@pytest.mark.parametrize(
    ("kind", "least"), [(flips, 0.9 * FLIPS), (cuts, 0.95 * CUTS), (swaps, SWAPS)], ids=["flips", "cuts", "swaps"]
)
def test_damage_is_found_or_harmless(tmp_path: Path, kind: Callable[..., Damaged], least: float) -> None:
    """`least`: most bytes of a file matter and 80 pairs can be swapped; a test that finds less does not test."""
    program = (
        f"import test_bundle_fuzz as t; from pathlib import Path; t.run(Path({str(tmp_path)!r}), t.{kind.__name__})"
    )
    child = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=600
    )  # the timeout ends a hang, it measures nothing
    assert child.returncode == 0, child.stderr[-2000:]
    counts: dict[str, int] = eval(child.stdout)
    assert set(counts) <= {"found", "harmless", "bytes"}, counts
    assert counts["found"] >= least, counts
    assert counts["bytes"] < GIB, counts
