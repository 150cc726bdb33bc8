"""Compare the package with closed forms: ``python -m validation [-k TEXT]``; exits 1 if a comparison fails."""

import argparse
import sys

from validation.case import page, run
from validation.cases import CASES


def main(arguments: list[str] | None = None) -> int:
    """Print the page; return 1 if a comparison fails."""
    parser = argparse.ArgumentParser(prog="python -m validation", description="Compare the package with closed forms.")
    parser.add_argument("-k", metavar="TEXT", default="", help="only the cases whose name contains TEXT")
    wanted = parser.parse_args(arguments).k.lower()
    cases = [case for case in CASES if wanted in case.name.lower()]
    if not cases:
        parser.error(f"no case is named like {wanted!r}; there are: {', '.join(case.name for case in CASES)}")
    rows = run(cases)
    print(page(cases, rows), end="")
    return int(any(row.verdict != "pass" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
