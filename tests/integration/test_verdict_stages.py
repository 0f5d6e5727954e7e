"""What the stages say of verdicts: who is left out of the rating, and the lines at the end of a run."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pipeline.stages import standings, summary


def measured(path: Path, error: float | None) -> Path:
    estimates = {} if error is None else {"c2st_1nn_error": {"value": error}}
    path.write_text(json.dumps({"estimates": estimates}))
    return path


def test_a_model_is_rejected_where_1nn_tells_most_of_its_seeds_far_better_than_real_images(tmp_path: Path) -> None:
    errors = {("odd", 0): 0.05, ("odd", 1): 0.1, ("odd", 2): 0.3, ("fine", 0): 0.3, ("fine", 1): 0.1, ("fine", 2): 0.4,
              ("unmeasured", 0): None}  # fmt: skip
    references = tmp_path / "references.json"
    references.write_text(json.dumps({"real": {"estimates": {"c2st_1nn_error": {"value": 0.46}}}}))
    files = [measured(tmp_path / f"{model}{seed}.json", error) for (model, seed), error in errors.items()]
    job: Any = SimpleNamespace(config={"runs": list(errors)}, inputs={"references": references, "metrics": files})
    assert standings.rejected(job) == ["odd"]
    references.write_text(json.dumps({"real": {"estimates": {}}}))
    assert standings.rejected(job) == []


def battle(model_1: str, model_2: str, verdict: str, advantage: float = 0.0, note: str | None = None) -> dict[str, Any]:
    bounds = {"advantage": advantage, "advantage_low": advantage - 0.1, "advantage_high": advantage + 0.2}
    return {"model_1": model_1, "model_2": model_2, "verdict": verdict, "third_party_judges": 3, "note": note, **bounds}


def test_the_summary_names_decided_battles_and_why_others_are_not() -> None:
    battles = [
        battle("a", "b", "b", -0.5),
        battle("a", "c", "tie"),
        battle("b", "c", "unresolved", note="one seed; more"),
        battle("c", "d", "unresolved", note="one seed"),
    ]
    ranked = [{"model": "b", "rating": 1600.4}, {"model": "e", "rating": None}]
    assert summary.verdicts(battles, ranked) == [
        "battles  1 decided, 1 tied, 2 unresolved",
        "  b before a: odds of passing 1.65 [1.35, 1.82] times as high, 3 judges",
        "  unresolved, 2: one seed",
        "standings  b 1600",
    ]
