"""The pages of the papers: those in Git are what the published results give; made-up results give true sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline import metrics
from pipeline.cli import main
from pipeline.commands import pages
from pipeline.core import folders
from pipeline.tables.budget import budget_note, budget_rows, images_seen
from pipeline.tables.claims import HELD, REVERSED, UNRESOLVED, read_claims
from pipeline.tables.folder import with_most_seeds
from pipeline.tables.paper_page import Results, filled, page
from pipeline.tables.published import FOLDER, is_of
from pipeline.workflow import layout, params, yaml_loader
from tests.conftest import ROOT, told

DOCS = ROOT / "docs" / "papers"
CLAIM = {"claim": "B before A", "section": "Table 1; the measure is ours", "open": "nothing"}
CLAIMS = [
    CLAIM | {"definition": "paper", "measure": "knn_error_max", "words": "the larger rate"},
    CLAIM | {"definition": "ours", "measure": "fd_classifier", "words": "Frechet distance"},
]
ABOUT = {"cites": "An author", "title": "A title", "about": ["About it."], "results": []}
MAIN = [
    {"model": "a", "seeds": 5, "status": "ok", "fd_classifier": 9.0, "knn_error": None, "parameters": 7},
    {"model": "b", "seeds": 5, "status": "ok", "fd_classifier": 4.0, "knn_error": 0.25, "parameters": 8},
    {"model": "c", "seeds": 5, "status": "ok", "fd_classifier": 1.0},
]
COST = [
    {"model": model, "images_seen": seen, "train_cpu_seconds": 20.0, "seed": 0}
    for model, seen in (("a", 1000), ("b", 5000), ("c", 10))
]


def row_of(definition: str, measure: str, verdict: str, p: float | None = 0.01, **more: Any) -> dict[str, Any]:
    row = {"claim": "B before A", "definition": definition, "measure": measure, "seeds": 5, "open": "nothing"}
    difference = -0.5 if verdict == REVERSED else 0.5
    numbers = {"difference": difference, "low": difference - 0.1, "high": difference + 0.1, "p": p, "p_holm": p}
    return row | numbers | {"verdict": verdict, "reason": None} | more


BY_PAPER, BY_OURS = ("paper", "knn_error_max"), ("ours", "fd_classifier")


def text_of(*claims: dict[str, Any], battles: list[dict[str, Any]] | None = None, **more: Any) -> str:
    """The page of a made-up set of results of models a, b and c, of which it is to show a and b."""
    tables = {"main": MAIN, "claims": claims, "cost": COST, "battles": battles or []}
    results = Results("made_up", "Digits", "mnist", "laptop", ["a", "b"], tables, metrics.columns(), **more)
    return page(ABOUT, [], CLAIMS, [results], [])


def test_the_pages_in_git_are_what_the_published_results_give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    main(["pages", "--to", str(tmp_path)])
    written = folders.content(tmp_path)
    assert len([name for name in written if name.endswith(".md")]) == 5
    there = {name: data for name, data in folders.content(DOCS).items() if name not in ("pages.yaml", "settings.csv")}
    different = sorted(name for name in written.keys() | there.keys() if written.get(name) != there.get(name))
    assert different == [], "run `.venv/bin/python -m pipeline pages` and commit docs/papers"


def paper_budget(*overrides: str) -> params.Params:
    return params.load(["budget=paper", *overrides], ROOT / "params.yaml")


def test_the_commands_on_the_pages_name_models_that_their_data_set_can_have() -> None:
    (row,) = pages.not_run([{"data set": "cifar10", "model": "gran3"}], [], paper_budget())
    assert row["state"] == "not run at all: gran3."
    assert paper_budget(row["command"].split("'")[1]).models_of("cifar10") == ["gran3"]


def test_an_experiment_is_left_out_only_where_it_was_run_with_the_papers_settings() -> None:
    configured, settings = paper_budget(), [{"data set": "mnist", "model": model} for model in ("gran1", "gran3")]

    def left(**ran: str) -> list[str]:
        sets = [Results("s", "t", "mnist", budget, [], {"main": [{"model": name}]}, {}) for name, budget in ran.items()]
        return [row["state"] for row in pages.not_run(settings, sets, configured)]

    assert left(gran1="paper", gran3="paper") == []
    assert left(gran1="paper", gran3="laptop") == ["run at another budget only: gran3."]
    assert left(gran1="laptop") == ["run at another budget only: gran1; not run at all: gran3."]


def test_no_two_claims_of_a_paper_have_one_name_one_definition_and_one_measure() -> None:
    rows = read_claims((FOLDER / "claims.csv").read_text())
    names = [(row["paper"], row["claim"], row["definition"], row["measure"]) for row in rows]
    assert len(set(names)) == len(names)


def test_every_figure_of_a_page_is_one_that_the_workflow_draws() -> None:
    blocks = yaml_loader.block_of(DOCS / "pages.yaml")
    wanted = {name for about in blocks.values() for block in about["results"] for name in block.get("figures", ())}
    assert {name for name in wanted if not name.startswith("canvases_")} <= {*layout.FIGURES, *layout.GALLERY}


def test_a_verdict_stands_under_its_heading_with_its_reason() -> None:
    reason = {
        "claim": "B before A",
        "measures": "fd_classifier",
        "verdict": REVERSED,
        "text": "B has {b[knn_error]:.0%}.",
    }
    claims = row_of(*BY_PAPER, HELD), row_of(*BY_OURS, REVERSED)
    text = text_of(*claims, reasons=[reason])
    assert "### What agrees\n\n- **B before A**, by the paper's definition: `knn_error_max`.\n" in text
    assert "### What does not agree\n\n- **B before A**, by our definition: `fd_classifier`. B has 25%.\n" in text
    assert "By the paper's definition: 1 held, 0 reversed, 0 unresolved." in text
    assert "- B before A (Table 1)." in text
    assert "| B before A | ours | Frechet distance | 5 | -0.5 [-0.6, -0.4] | 0.01 | reversed |" in text
    text = text_of(*claims, reasons=[reason | {"verdict": HELD}])
    assert "B has" not in text and "`fd_classifier`. Why is not known." in text, "a reason for another verdict"


def test_what_is_unresolved_says_why() -> None:
    def text(p: float | None, reason: str, **differences: float) -> str:
        of = {"paper": BY_PAPER, "ours": BY_OURS}
        return text_of(*(row_of(*of[k], UNRESOLVED, p, reason=reason, difference=d) for k, d in differences.items()))

    assert "`fd_classifier`. The seeds vary too much to tell (p above 0.05)." in text(0.3, "p above 0.05", ours=0.5)
    assert "`fd_classifier`. Not measured of both models." in text(None, "not measured of both models", ours=0.5)
    single = "One seed cannot be tested (2 of 2 verdicts). The difference goes the paper's way in 1 of 2."
    assert single in text(None, "one seed", paper=-1.0, ours=1.0)


def test_a_page_without_results_says_so() -> None:
    item = {"dataset": "mnist", "models": "gan", "state": "not run at all: gan.", "command": "snakemake"}
    text = page(ABOUT, [], [], [], [item])
    assert "There are no results yet." in text and "provenance" not in text
    assert "**mnist** (gan): not run at all: gan.\n\n```sh\nsnakemake\n```" in text


def test_only_the_pages_models_are_shown_and_each_with_what_it_was_given() -> None:
    checks = [{"says": "B is large.", "here": "{b[parameters]} parameters"},
              {"says": "C is small.", "here": "{c[parameters]:.0f}"}]  # fmt: skip
    text = text_of(checks=checks)
    assert "| b | ok | **4** |" in text and "| c |" not in text
    assert "| a | 1 | 1,000 | 20 | 7 |" in text
    assert "b saw at least 5 times the images of a." in text
    assert "| B is large. | 8 parameters |" in text and "C is small" not in text


def test_a_battle_is_turned_over_where_ours_has_the_pair_the_other_way_round() -> None:
    ratios = {"r_test": 0.5, "r_test_low": 0.4, "r_test_high": 0.8}
    ratios |= {"r_sample": 4.0, "r_sample_low": 2.0, "r_sample_high": 5.0}
    battle = {"model_1": "gran3", "model_2": "gran1", "winner": "gran1", "verdict": "tie", **ratios}
    text = text_of(forms=["battles"], battles=[battle])
    assert "| gran1 | gran3 | 0.79 | 2 [1.25, 2.5] | 1.75 | 0.25 [0.2, 0.5] | gran3 | gran1 | tie |" in text
    assert "| gran1 | gran5 | 0.95 |  | 1.19 |  | gran5 |  |  |" in text


def test_a_sentence_is_filled_in_from_the_tables_or_left_out() -> None:
    values = {"draw": {"elbo": -91.77, "empty": None}}
    assert filled("{draw[elbo]:.1f} nats", values) == "-91.8 nats"
    assert filled("{draw[empty]:.1f}", values) == filled("{vae[elbo]}", values) == filled("{draw[other]}", values) == ""


def test_the_set_with_the_most_seeds_is_shown_and_what_made_it_is_read_from_its_readme(tmp_path: Path) -> None:
    for name, seeds in (("one", 1), ("five", 5), ("also_five", 5)):
        (tmp_path / name / "figures").mkdir(parents=True)
        (tmp_path / name / "digits.csv").write_text(f"model,seeds\nvae,{seeds}\nreal,1\n")
    paths = [tmp_path / name for name in ("missing", "one", "five", "also_five")]
    found = with_most_seeds(paths, "digits")
    assert found is not None and found.path == tmp_path / "five"
    assert with_most_seeds(paths, "letters") is None
    with pytest.raises(ValueError, match=r"five: no README\.md here or above"):
        found.origin()
    table = "| | |\n|---|---|\n| Provenance | [provenance.json](provenance.json): hashes |"
    (tmp_path / "README.md").write_text(f"# digits, laptop budget, 5 seeds\n\nText.\n\n{table}\n\n| A | B |\n")
    assert found.origin() == ("laptop", {"Provenance": "provenance.json: hashes"})
    (found.path / "figures" / "samples.png").touch()
    assert found.figure("samples") == found.path / "figures" / "samples.png" and found.figure("walks") is None


def test_churches_of_lsun_are_the_papers_lsun() -> None:
    assert is_of({"dataset": "LSUN"}, "lsun_church") and is_of({"dataset": "CIFAR10"}, "cifar10")
    assert not is_of({"dataset": "LSUN"}, "lsun_living_kitchen")


# --- what each row was given ------------------------------------------------------------------------------------------


def test_images_seen_are_steps_times_batch() -> None:
    cost = {"train_images_per_second": 464.9, "train_seconds": 963.67}  # 448,010.2 by these rounded numbers
    assert images_seen(cost, steps=7000) == 7000 * 64
    assert images_seen(cost) == 448_000
    assert images_seen({**cost, "images_seen": 12}) == 12
    assert images_seen(cost, steps=0) is images_seen({"train_seconds": 1.0}, steps=5) is None


def test_a_row_that_saw_five_times_anothers_images_is_named() -> None:
    def note(**seen: int | None) -> str:
        return budget_note([{"model": model, "images_seen": images} for model, images in seen.items()])

    assert note(a=499, b=100) == "Images seen in training: a 499, b 100. No row saw 5 times the images of another.\n"
    assert "d 90. a and c saw at least 5 times the images of b and d.\n" in note(a=500, b=100, c=600, d=90)
    both = "a saw at least 5 times the images of b and c. b saw at least 5 times the images of c."
    assert both in note(a=90, b=10, c=1)
    assert note(a=None) == ""


def test_a_budget_is_the_mean_over_the_seeds() -> None:
    one = {"model": "a", "seed": 0, "images_seen": 10, "train_cpu_seconds": 1.0}
    mean = {"model": "a", "seeds": 2, "parameters": 5, "images_seen": 10.0, "train_cpu_seconds": 2.0}
    assert budget_rows([one, one | {"seed": 1, "train_cpu_seconds": 3.0}], {"a": 5}) == [mean]


SECTION = "{title: t, dataset: mnist, sets: [mnist], forms: [x]}"


@pytest.mark.parametrize(
    ("results", "said"),
    [("", "'results'"), (", results: [{title: t, sets: []}]", "'dataset'"), (f", results: [{SECTION}]", "'x'")],
)
def test_a_malformed_description_of_a_page_is_one_line(
    results: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(pages, "DOCS", tmp_path)
    (tmp_path / "pages.yaml").write_text(f"a: {{cites: x, title: y, about: [], models: []{results}}}")
    (tmp_path / "settings.csv").write_text("paper\n")
    line = told(capsys, "pages", "--to", str(tmp_path / "new"))
    assert f"pages.yaml: a: a key is missing, or a form is unknown: {said}" in line
    assert not (tmp_path / "new").exists()
