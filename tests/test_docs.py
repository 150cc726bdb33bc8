"""What the pages say is what was measured, and their code runs."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_readme_table_is_the_stored_ladder():
    collect = runpy.run_path(str(ROOT / "docs" / "collect.py"))
    table = collect["readme_table"](ROOT / "docs" / "results" / "demo_ladder.csv")
    assert "camera noise" in table
    assert collect["with_table"](README, table) == README


def test_readme_code_runs(tmp_path, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["frame"].shape == (1, 2048, 2448)
    assert len([line for line in code.splitlines() if line.strip()]) <= 15


@pytest.mark.parametrize("page", sorted(p.name for p in ROOT.glob("*.md")))
def test_links_point_to_files(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (ROOT / target).exists(), target
