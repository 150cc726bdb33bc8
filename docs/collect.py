"""Put a run of the demo into the pages: figures, table, provenance, and the table of the README.

python docs/collect.py runs/demo
"""

import csv
import json
import re
import shutil
import sys
from pathlib import Path

DOCS = Path(__file__).parent
README = DOCS.parent / "README.md"
FILES = {
    "overview.png": "_static/demo_masks.png",
    "section.png": "_static/demo_section.png",
    "ladder.csv": "results/demo_ladder.csv",
}


def readme_table(ladder: Path) -> str:
    """The ladder as Markdown: accuracy with its interval, and the paired difference, in percent and points."""
    lines = ["| | accuracy, % | 95 % interval | to the distilled student, points |", "|---|--:|--:|--:|"]
    with ladder.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            part = {key: 100 * float(row[key]) for key in ("accuracy", "low", "high", "difference")}
            span = "[{:+.2f}, {:+.2f}]".format(*(100 * float(row[f"difference_{end}"]) for end in ("low", "high")))
            against = "" if row["rung"] == "student distilled" else f"{part['difference']:+.2f} {span}"
            name = row["rung"] if row["readout"] == "-" else f"{row['rung']} ({row['readout']})"
            lines.append(f"| {name} | {part['accuracy']:.2f} | {part['low']:.1f} to {part['high']:.1f} | {against} |")
    return "\n".join(lines)


def with_table(readme: str, table: str) -> str:
    """README with the table between its two marks exchanged."""
    return re.sub(
        r"(<!-- ladder -->\n).*?(<!-- end of ladder -->)", rf"\g<1>\n{table}\n\n\g<2>", readme, flags=re.DOTALL
    )


if __name__ == "__main__":
    run = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/demo")
    for source, target in FILES.items():
        (DOCS / target).parent.mkdir(exist_ok=True)
        shutil.copyfile(run / source, DOCS / target)
    made = json.loads((run / "run.json").read_text()) | json.loads((run / "demo.json").read_text())
    made = {"command": "make demo"} | made
    (DOCS / "results" / "demo_run.json").write_text(json.dumps(made, indent=2) + "\n")
    table = readme_table(DOCS / "results" / "demo_ladder.csv")
    README.write_text(with_table(README.read_text(encoding="utf-8"), table), encoding="utf-8")
