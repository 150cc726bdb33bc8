"""Compare the package with closed forms: ``python -m validation [-k TEXT] [--peers]``; exits 1 if one fails."""

import argparse
import sys
from pathlib import Path

from validation import peers
from validation.case import page, run
from validation.cases import CASES

PAGE = Path(__file__).parents[1] / "docs/validation.md"


def main(arguments: list[str] | None = None) -> int:
    """Print the page, write it if it is whole, and return 1 if a comparison fails."""
    parser = argparse.ArgumentParser(prog="python -m validation", description="Compare the package with closed forms.")
    parser.add_argument(
        "-k", metavar="TEXT", default="", help="only the cases whose name contains TEXT; writes nothing"
    )
    parser.add_argument("--peers", action="store_true", help="run the other packages that are installed, too")
    options = parser.parse_args(arguments)
    wanted = options.k.lower()
    cases = [case for case in CASES if wanted in case.name.lower()]
    if not cases:
        parser.error(f"no case is named like {options.k!r}; there are: {', '.join(case.name for case in CASES)}")
    if options.peers:
        absent = peers.absent()
        if absent == peers.packages():
            parser.error(f"none of the other packages is installed: pip install {' '.join(absent)}")
        print(f"not installed, left out: {', '.join(absent) or 'none'}", file=sys.stderr)
        made, compared = peers.made_by(), peers.compare(wanted)
    else:
        made, compared = peers.read()
    rows = run(cases)
    text = page(cases, rows) + peers.section(made, [row for row in compared if wanted in row["case"]])
    if not wanted:
        PAGE.write_text(text, encoding="utf-8")
        if options.peers:
            peers.write(made, compared)
    print(text, end="")
    return int(any(row.verdict != "pass" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
