"""Studies: rows by seeds, lines that are not made twice, and the table that comes of them."""

import csv
import tomllib

import pytest
import torch
from scipy import stats
from typer.testing import CliRunner

import fouroptics as fo
from models import search, study, tables
from models.digital import DigitalConfig, digital_macs
from models.student import Student
from models.study import RowConfig, StudyConfig, lines, merged

RECIPE = """
family = "Ours"
seeds = 2
[data]
name = "fashion-subset"
train = 60
validation = 0
[teacher]
width = 2
[teacher_training]
epochs = 1
batch = 30
[student]
outputs = 2
depth = 1
hidden = 0
[training]
epochs = 1
batch = 30
[[row]]
name = "teacher"
network = "teacher"
[[row]]
name = "alone"
[[row]]
name = "KD"
transfer = "kd"
against = "alone"
[[row]]
name = "digital"
network = "digital"
data = { train = 30 }
digital = { kind = "linear", pool = 4 }
against = "alone"
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(RECIPE)
    return path


def make(recipe, *options):
    folder = recipe.parent
    given = [str(recipe), "-o", str(folder / "small.csv"), "--teachers", str(folder / "teachers"), *options]
    app = study.typer.Typer()
    app.command()(study.main)
    done = CliRunner().invoke(app, given)
    return done.exit_code, done.output, lines(folder / "small.csv")


def test_a_study_is_made_once_and_goes_on_where_it_was(recipe, monkeypatch):
    code, output, found = make(recipe, "--row", "alone", "--seed", "1")
    assert code == 0, output
    assert [(line["row"], line["seed"]) for line in found] == [("alone", "1")]
    code, output, found = make(recipe)
    assert code == 0, output
    assert sorted((line["row"], line["seed"]) for line in found) == sorted(
        (row, seed) for row in ("teacher", "alone", "KD", "digital") for seed in "01"
    )
    assert {line["row"]: int(line["train"]) for line in found} == {"teacher": 60, "alone": 60, "KD": 60, "digital": 30}
    assert {line["row"]: int(line["macs"]) for line in found}["digital"] == 490
    assert len(list((recipe.parent / "teachers").iterdir())) == 2  # one a seed, shared by the rows
    monkeypatch.setattr(study, "fit", None)  # nothing is trained again
    assert make(recipe)[2] == found


def test_validation_scores_other_images_and_no_test_image(recipe, monkeypatch):
    seen = []
    monkeypatch.setattr(study, "VALIDATION", 100)
    monkeypatch.setattr(study, "accuracy", lambda network, split: seen.append(split) or 0.5)
    code, output, found = make(recipe, "--validate", "--row", "alone", "--seed", "0")
    assert code == 0, output
    data = study.load(merged(StudyConfig.from_toml(recipe), RowConfig(name=""), seed=0, validate=True).data)
    assert torch.equal(seen[0].images, data.validation.images)
    assert len(seen[0]) == 100
    assert found[0]["train"] == "60"


def test_a_row_replaces_keys_of_the_tables(recipe):
    config = StudyConfig.from_toml(recipe)
    own = merged(config, config.row[3], seed=7, validate=False)
    assert (own.data.train, own.data.seed, own.digital.kind, own.training.epochs) == (30, 7, "linear", 1)
    assert merged(config, config.row[1], seed=7, validate=False).data.train == 60


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('name = "KD"', 'name = "alone"'), "'alone' stands twice"),
        (('against = "alone"', 'against = "none"'), "no such row"),
        (('kind = "linear"', 'kind = "lineer"'), "digital"),
        (("outputs = 2", "outputz = 2"), "outputz"),
    ],
)
def test_a_recipe_that_does_not_fit_together_is_refused(recipe, change, message):
    recipe.write_text(RECIPE.replace(change[0], change[1], 1))
    code, output, found = make(recipe)
    assert code != 0
    assert message in output
    assert found == [] or message == "digital"  # an override is read when its row comes


def test_an_unknown_row_is_refused(recipe):
    code, output, _ = make(recipe, "--row", "alon")
    assert code != 0
    assert "no such row" in output


def test_interval_over_seeds_is_that_of_the_paired_t_test():
    first, second = [91.2, 91.5, 91.1, 91.4, 91.3], [91.0, 91.4, 91.2, 91.1, 90.9]
    pair = stats.ttest_rel(first, second)
    expected = pair.confidence_interval(0.95)
    mean, low, high = tables.difference(dict(enumerate(first)), dict(enumerate(second)))
    assert (low, high) == pytest.approx((expected.low, expected.high), rel=1e-12)  # rounding
    assert mean == pytest.approx(0.18)


def test_differences_are_of_the_seeds_that_both_rows_have():
    assert tables.difference({0: 1.0, 1: 2.0, 2: 9.0}, {0: 0.0, 1: 1.0, 5: 4.0})[0] == 1.0


def test_table_has_the_rows_of_the_recipe(recipe):
    assert make(recipe)[0] == 0
    table = tables.summary(StudyConfig.from_toml(recipe), lines(recipe.with_suffix(".csv")))
    assert [row[0] for row in table] == ["teacher", "alone", "KD", "digital"]
    assert [row[4] for row in table] == ["2"] * 4
    assert table[2][5] == "alone"
    assert table[0][6] == ""


def test_a_recipe_without_results_says_how_to_make_them(recipe):
    with pytest.raises(fo.FourOpticsError, match="make them with"):
        tables.show([recipe])


@pytest.mark.parametrize("stored", sorted(tables.RESULTS.glob("*-table.csv")), ids=lambda path: path.stem)
def test_stored_tables_are_those_of_the_stored_lines(stored):
    recipe = tables.RECIPES / f"{stored.stem.removesuffix('-table')}.toml"
    with stored.open(encoding="utf-8", newline="") as file:
        kept = [tuple(row) for row in csv.reader(file)]
    assert kept == [tuple(row) for row in tables.table(recipe)[1]]


@pytest.mark.parametrize("budget", search.BUDGETS)
def test_candidates_use_the_budget(budget):
    found = search.candidates(budget)
    assert 8 <= len(found["optical"]) <= len(found["digital"])  # the digital nets are searched at least as hard
    for config in search.student_candidates(28, 10, budget):
        with torch.device("meta"):
            assert 0.7 * budget <= Student(config).electronic_macs() <= budget
    for row in found["digital"]:
        assert 0.7 * budget <= digital_macs(DigitalConfig(**row.digital)) <= budget


def test_search_keeps_the_best_and_makes_no_line_twice(tmp_path, monkeypatch):
    value, made = {"a": 0.1, "b": 0.3, "c": 0.2, "d": 0.25, "e": 0.05, "f": 0.28}, []

    def run(config, row, seed, validate, folder):
        assert validate
        name, number = row.name.split(" (round ")
        made.append(row.name)
        score = value[name] if number == "1)" else -value[name]
        return {"row": row.name, "seed": seed, "value": score}

    monkeypatch.setattr(search, "run", run)
    config = StudyConfig.model_validate({"family": "Ours", "data": {}, "row": [{"name": "x"}]})
    rows = [RowConfig(name=name) for name in value]
    chosen = search.best(config, rows, tmp_path / "x.csv", tmp_path)
    assert chosen.name == "c"  # the four best of the first round are b, f, d, c; the second turns their order round
    assert len(made) == 6 + 4
    search.best(config, rows, tmp_path / "x.csv", tmp_path)
    assert len(made) == 10


def test_chosen_rows_are_a_recipe():
    chosen = {name: rows[-1] for name, rows in search.candidates(3_000).items()}
    config = StudyConfig.model_validate(tomllib.loads(search.BASE + search.recipe_rows(3_000, chosen)))
    assert [row.name for row in config.row] == ["optical 3,000", "digital 3,000"]
    assert config.row[0].against == "digital 3,000"
    assert config.row[1].digital["widths"] == [1, 2, 4]
