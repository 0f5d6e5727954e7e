"""What the stages say: who is left out of the rating, what each row of a table was given, the lines at a run's end."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pipeline.battles.matrix import MATRIX_COLUMNS
from pipeline.battles.standings import STANDINGS_COLUMNS
from pipeline.battles.verdicts import BATTLE_COLUMNS
from pipeline.stages import standings, summary, tables
from pipeline.tables import from_csv, to_csv
from pipeline.tables.claims import JUDGED_COLUMNS


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


def job_of_tables(folder: Path, steps: dict[str, int], batch: int) -> Any:
    """The stage `tables` of models that differ in their steps alone, one seed each."""

    def file(name: str, content: Any) -> Path:
        path = folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    score = {"fd_classifier": {"value": 2.0, "low": 1.0, "high": 3.0, "kind": "made up"}}
    of_run: dict[str, dict[str, Any]] = {
        "metrics": {"estimates": score, "protocol": {"n_real": 10, "n_fake": 10}},
        "sampling_costs": {"sample_images_per_second": 5.0},
    }
    trained = {
        model: {
            "trainings": {"status": "ok", "steps": count, "parameters": {"total": 3}},
            "training_costs": {
                "train_seconds": 7.0, "train_cpu_seconds": 6.5,
                "train_images_per_second": round(count * batch / 7.0, 1),
            },
        }
        for model, count in steps.items()
    }  # fmt: skip
    inputs: dict[str, Any] = {
        kind: [file(f"{model}_{kind}", (of_run | trained[model])[kind]) for model in steps]
        for kind in ("metrics", "sampling_costs", "trainings", "training_costs")
    }
    heads = {"battles": BATTLE_COLUMNS, "judges": MATRIX_COLUMNS, "judges_seeds": JUDGED_COLUMNS,
             "standings": STANDINGS_COLUMNS}  # fmt: skip
    inputs |= {name: file(f"{name}.csv", to_csv([], columns)) for name, columns in heads.items()}
    inputs |= {"references": file("references", {}), "summary": file("summary", {})}
    names = ("table", "markdown", "latex", "seeds", "claims", "cost", "networks")
    return SimpleNamespace(
        config={"runs": [(model, 0) for model in steps], "published": None, "judged_by": {}, "tolerance": 0.3,
                "dependent": True},
        inputs=inputs, outputs={name: folder / f"out_{name}" for name in names}, wildcards={"dataset": "mnist"},
        write_text=Path.write_text, progress=SimpleNamespace(say=print),
    )  # fmt: skip


def test_tables_say_how_many_images_each_row_saw_and_name_those_that_saw_five_times_anothers(tmp_path: Path) -> None:
    job = job_of_tables(tmp_path, {"long": 331, "short": 66, "middle": 67}, batch=64)
    tables.run(job)
    cost, networks = (from_csv(job.outputs[name].read_text()) for name in ("cost", "networks"))
    assert [row["images_seen"] for row in cost] == [row["images_seen"] for row in networks] == [21184, 4224, 4288]
    told = job.outputs["markdown"].read_text()
    assert "Images of this data set are not independent" in told
    assert "Images seen in training: long 21,184, short 4,224, middle 4,288." in told
    assert "long saw at least 5 times the images of short." in told
    table = job.outputs["table"].read_text()
    assert "images_seen" not in table and "train_cpu_seconds" not in table
    assert "CPU" not in told, "another run's tables have the same bytes"
