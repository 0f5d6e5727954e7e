"""The benchmark: the textbook models compute what ours do; its tables have their columns; its fits are right."""

from __future__ import annotations

import contextlib
import csv
import io
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench import __main__ as bench_command
from bench import commands, cost, limit, made_up, metric_work, metrics, rows, settings, stages, textbook
from bench.apart import NotMeasured, child
from bench.child import Peak
from bench.timing import Pace, race
from pipeline import metrics as pipeline_metrics
from pipeline.models.base import ImageGenerator
from pipeline.workflow import store
from pipeline.workflow.staleness import jobs_of
from tests.conftest import plan_of

BATCH = 16
"""Times an even number of latents, the one draw of normal noise that ours makes equals the textbook's many."""


def real(shape: tuple[int, int, int] = (1, 28, 28)) -> Tensor:
    return (torch.rand(BATCH, *shape, generator=torch.Generator().manual_seed(1)) < 0.3).float()


def pair(name: str, dataset: str = "mnist", **changed: Any) -> tuple[ImageGenerator, Any]:
    """Ours, and its textbook form, as params.yaml has the model but for what is changed."""
    model = settings.model(name, dataset=dataset)
    arguments = {**model.arguments, **changed}
    found = textbook.made(model.source, arguments, model.shape)
    assert found is not None
    model.arguments.update(changed)
    return model.built("cpu"), found


def losses(of: Any, x: Tensor) -> dict[str, float]:
    """Of a training step from a fixed seed."""
    torch.manual_seed(3)
    of.train()
    step = of.fit if isinstance(of, textbook.Textbook) else of.fit_batch
    return {name: float(value) for name, value in step(x).items()}


@torch.no_grad()
def copy_layer(to: Any, weight: Tensor, bias: Tensor | None = None) -> None:
    to.weight.copy_(weight)
    if bias is not None:
        to.bias.copy_(bias)


@torch.no_grad()
def copy_lstm(to: nn.LSTMCell, of: Any) -> None:
    """Our gates are input, forget, output, candidate; torch's input, forget, candidate, output, with two biases."""
    i, f, o, c = of.weight.chunk(4)
    inputs = to.weight_ih.shape[1]
    weight = torch.cat([i, f, c, o])
    to.weight_ih.copy_(weight[:, :inputs])
    to.weight_hh.copy_(weight[:, inputs:])
    i, f, o, c = of.bias.chunk(4)
    to.bias_ih.copy_(torch.cat([i, f, c, o]))
    to.bias_hh.zero_()


@torch.no_grad()
def copy_draw(to: textbook.DRAW, of: Any) -> None:
    copy_lstm(to.encoder, of.encoder)
    copy_lstm(to.decoder, of.decoder)
    for place, layer in ((to.mean, 0), (to.log_std, 1)):
        copy_layer(place, of.posterior.weight.chunk(2)[layer], of.posterior.bias.chunk(2)[layer])
    copy_layer(to.read_window, of.read_head.weight, of.read_head.bias)
    copy_layer(to.write_window, of.write_head.weight[:5], of.write_head.bias[:5])
    copy_layer(to.patch, of.write_head.weight[5:], of.write_head.bias[5:])


def copy_vae(to: textbook.VAE, of: Any) -> None:
    """Ours gives the log of the standard deviation, the textbook's the log of the variance."""
    (mean, log_std), (of_mean, of_log_std) = of.encoder[2].weight.chunk(2), of.encoder[2].bias.chunk(2)
    copy_layer(to.fc1, of.encoder[0].weight, of.encoder[0].bias)
    copy_layer(to.fc21, mean, of_mean)
    copy_layer(to.fc22, 2 * log_std, 2 * of_log_std)
    copy_layer(to.fc3, of.decoder[0].weight, of.decoder[0].bias)
    copy_layer(to.fc4, of.decoder[2].weight, of.decoder[2].bias)


def copy_draw_gan(to: textbook.DRAWGAN, of: Any) -> None:
    copy_draw(to.drawer, of.draw)
    to.features.load_state_dict(of.discriminator.features.state_dict())
    to.verdict.load_state_dict(of.discriminator.verdict.state_dict())


def by_channels(weight: Tensor, side: int, *, rows: bool) -> Tensor:
    """A dense layer's weight whose rows or columns go by (place, channel), gone by (channel, place)."""
    places = weight if rows else weight.t()
    moved = places.view(side * side, -1, places.shape[1]).transpose(0, 1).flatten(0, 1)
    return moved if rows else moved.t()


def copy_encoder(to: textbook.GRANEncoder, of: Any, side: int) -> None:
    for conv, weight in zip(to.convs, reversed(of.weights), strict=True):
        copy_layer(conv, weight)
    copy_layer(to.fc, by_channels(of.fully_connected.weight, side, rows=False), of.fully_connected.bias)


def copy_gran(to: textbook.GRAN, of: Any) -> None:
    ours, theirs, side = of.generator, to.generator, 7
    assert isinstance(theirs, textbook.GRANGenerator) and isinstance(to.discriminator, textbook.GRANEncoder)
    copy_layer(theirs.noise, ours.noise.weight, ours.noise.bias)
    copy_layer(theirs.fc, by_channels(ours.fully_connected.weight, side, rows=True))
    for deconv, weight in zip(theirs.deconvs, ours.weights, strict=True):
        copy_layer(deconv, weight)
    with torch.no_grad():
        theirs.deconvs[-1].bias.copy_(ours.bias)  # type: ignore[union-attr, operator]
    copy_encoder(theirs.g, ours.g, side)
    copy_encoder(to.discriminator, of.discriminator, side)


def copy_dcgan(to: textbook.DCGAN, of: Any) -> None:
    side = of.generator[1].side
    for theirs_of, ours_of in ((to.generator, of.generator), (to.discriminator, of.discriminator)):
        convolutions = [[m for m in net.modules() if isinstance(m, nn.Conv2d)] for net in (theirs_of, ours_of)]
        for theirs, mine in zip(*convolutions, strict=True):
            copy_layer(theirs, mine.weight, mine.bias)
    copy_layer(to.generator[0], by_channels(of.generator[0].weight, side, rows=True))
    copy_layer(to.discriminator[-1], of.discriminator[-1].weight, of.discriminator[-1].bias)


SHORT = {"glimpses": 3, "hidden": 32, "latent": 4}
CASES: dict[str, tuple[Any, dict[str, Any], int]] = {
    # how weights are copied, what is changed of params.yaml, and LSTM cells: each has a bias that is one too many
    "vae": (copy_vae, {}, 0),
    "draw": (copy_draw, SHORT, 2),
    "draw_gan": (copy_draw_gan, SHORT | {"dropout": 0.0}, 2),
    "gran3": (copy_gran, {}, 0),
    "dcgan": (copy_dcgan, {}, 0),
}


@pytest.mark.parametrize("name", CASES)
def test_the_textbook_model_has_our_losses_with_our_weights(name: str) -> None:
    """At the first step, and to what two ways of adding floats may differ at the second."""
    copy, changed, lstms = CASES[name]
    ours, theirs = pair(name, **changed)
    counts = [sum(p.numel() for p in model.parameters()) for model in (ours, theirs)]
    assert counts[1] - counts[0] == lstms * 4 * changed.get("hidden", 0)
    if name == "dcgan":
        of_colour = pair(name, "celeba")
        assert len({sum(p.numel() for p in model.parameters()) for model in of_colour}) == 1
    copy(theirs, ours)
    for tolerance in (2e-4, 2e-2):
        mine, plain = losses(ours, real()), losses(theirs, real())
        assert plain == {key: pytest.approx(mine[key], rel=tolerance) for key in plain}


def test_contestants_take_turns_and_are_timed_by_what_they_do() -> None:
    calls: list[str] = []
    contestants = {name: lambda n, name=name: calls.extend([name] * n) for name in ("ours", "peer")}
    rates = race(contestants, Pace(turn=0.0, rounds=3))
    assert calls[-6:] == ["ours", "peer"] * 3
    assert all(len(of) == 3 and min(of) > 0 for of in rates.values())


# --- the tables -----------------------------------------------------------------------------------------------------


def test_a_ratio_above_one_means_ours_whether_it_is_a_rate_or_a_time() -> None:
    rate = rows.compared(rows.Row("train", "vae", "", "images/s"), [10.0, 12.0, 30.0], "peer", [5.0, 6.0, 10.0])
    assert (rate.ours, rate.peer_value, rate.rounds) == (12.0, 6.0, 3)
    assert (rate.ratio, rate.ratio_low, rate.ratio_high) == (2.0, 2.0, 3.0)
    seconds = rows.compared(rows.Row("metrics", "kid", "", "s"), [2.0, 2.0], "peer", [8.0, 6.0])
    assert (seconds.ratio, seconds.ratio_low, seconds.ratio_high) == (3.5, 3.0, 4.0)


def test_tables_leave_out_what_is_not_there(tmp_path: Path) -> None:
    some = [rows.Row("train", "vae", "a", "images/s", 12345.6), rows.Row("train", "draw", "bc", "images/s", 1.5)]
    rows.write(tmp_path / "some" / "bench.csv", some)
    first, _ = csv.DictReader((tmp_path / "some" / "bench.csv").read_text().splitlines())
    assert tuple(first) == rows.COLUMNS
    assert [value for value in first.values() if value] == ["train", "vae", "a", "images/s", "12345.6"]
    lines = rows.table(some).splitlines()
    assert lines[0].split() == ["kind", "what", "setting", "unit", "ours"]
    assert len({len(line) for line in lines}) == 1 and lines[1].endswith("12,346") and lines[2].endswith("   1.5")


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_the_fitted_exponent_is_that_of_the_times(power: float) -> None:
    """What does not depend on n hides the exponent at few images only."""
    times = [(n, 0.01 * (n >= 5000) * (n / 1000) ** power + 0.3 * (n < 5000), 1.0) for n in cost.SIZES]
    assert cost.exponent(times) == pytest.approx(power)
    assert cost.exponent([(100, 1.0, 1.0), (200, 2.0**power, 1.0)]) == pytest.approx(power)


# --- what is measured -------------------------------------------------------------------------------------------------


def test_an_operation_is_counted_once_for_each_multiplication_and_each_addition() -> None:
    """The VAE's layers, forwards, and backwards for weights and (but for the first) for inputs: two products each."""
    layers = [784 * 400, 400 * 40, 20 * 400, 400 * 784]
    by_hand = 2 * (3 * sum(layers) - layers[0])
    assert limit.operations_per_image(settings.model("vae")) == by_hand


def test_every_model_of_the_params_is_measured_and_the_papers_main_ones_have_a_textbook_form() -> None:
    models = settings.on_a_cpu(quick=False)
    written = {model.name for model in models if textbook.made(model.source, model.arguments, model.shape) is not None}
    trained = {
        name for name, block in settings.loaded("laptop").resolved_models.items() if "reuse_training_of" not in block
    }
    assert {model.name for model in models} == trained
    assert {"vae", "draw", "draw_gan", "dcgan", "gran1", "gran3", "gran5"} <= written
    on_a_gpu = settings.on_a_gpu(quick=False)
    assert all(textbook.made(model.source, model.arguments, model.shape) is not None for model in on_a_gpu)
    assert ("draw", 64, 128) in {(m.name, m.arguments.get("glimpses"), m.batch) for m in on_a_gpu}


CONTESTS = {contest.name: contest for contest in metrics.CONTESTS}


@pytest.mark.workflow  # it imports every one of them; test_metrics_references.py compares with most in `make quick`
@pytest.mark.usefixtures("whole_torch")
@pytest.mark.parametrize("name", CONTESTS)
def test_ours_and_the_public_tools_are_asked_the_same_question(name: str) -> None:
    """On few points, in this process; what the tools print and warn of is theirs."""
    contest = CONTESTS[name]
    d = 784 if contest.space == "pixels" else 64
    real, fake = (metric_work.SPACES[contest.space](300, d, seed) for seed in (0, 1))
    ours = getattr(metric_work, f"ours_{contest.name}")(real, fake)()
    for peer in contest.peers:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            try:
                theirs = getattr(metric_work, contest.function(peer))(real, fake)()
            except ImportError:
                assert peer == "faiss-cpu"  # all others are in the tests' environment
                continue
        assert theirs == {name: pytest.approx(ours[name], rel=2e-3, abs=2e-5) for name in ours}


@pytest.mark.workflow
def test_a_child_measures_and_says_what_is_missing() -> None:
    points = {"space": "features", "n": 40, "d": 8}
    with child("bench.metric_work", "prepared", 1) as process:
        process.prepare(by="ours_mmd", **points)
        run = process.go()
        assert run.values == metric_work.prepared("ours_mmd", **points)() and run.seconds > 0  # type: ignore[arg-type]
        with pytest.raises(NotMeasured, match="KeyError: 'by_nobody'"):
            process.prepare(by="by_nobody", **points)


def test_the_peak_of_memory_is_what_was_held_in_between() -> None:
    peak = Peak()
    assert peak.above() < 8
    assert float(torch.ones(2**24, dtype=torch.float64).sum()) == 2**24  # larger than any memory that malloc keeps
    assert 127 < peak.above() < 160


@pytest.mark.parametrize("metric", pipeline_metrics.names())
def test_every_metric_measures_the_made_up_comparison(metric: str) -> None:
    assert metric_work.measured(metric, 400)()["columns"] > 0


def test_the_critical_path_is_the_longest_chain_of_jobs() -> None:
    plan = plan_of("budget=tiny", "datasets.mnist.models=[vae, gran3]")
    jobs = jobs_of(plan, "mnist")
    seconds = {name: 1.0 for name in jobs} | {"train mnist gran3 0": 50.0, "train mnist vae 0": 20.0}
    length, chain = stages.critical_path(jobs, seconds)
    assert chain[:4] == ["fetch mnist", "prepare mnist", "train mnist gran3 0", "sample mnist gran3 0"]
    assert length == sum(seconds[name] for name in chain)
    for earlier, later in pairwise(chain):
        assert jobs[earlier].hash in {job.hash for job in jobs[later].parents}


def test_seconds_of_jobs_come_from_snakemake_or_from_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = stages.plan_for(tmp_path)
    job, other = plan.job("train", "mnist", "vae", 0), plan.job("sample", "mnist", "vae", 0)
    file = tmp_path / stages.BENCHMARK.format(stage="train", name="mnist-vae-0", hash=job.hash)
    file.parent.mkdir(parents=True)
    file.write_text("s\th:m:s\tmax_rss\n12.5\t0:00:12\t300.00\n")
    store.write(other.folder, made_up.record(other) | {"seconds": 3.25})
    assert stages.seconds_of(job, tmp_path) == 12.5 and stages.seconds_of(other, tmp_path) == 3.25
    told = {row.what: row for row in stages.measured(tmp_path)}
    assert (told["train"].ours, told["all"].ours, told["critical path"].ours) == (12.5, 15.75, 15.75)


@pytest.mark.workflow
def test_a_quick_run_leaves_a_table_and_plots(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One row of each kind that needs no other program; the others' commands are tested where they are made."""
    words = ["--to", str(tmp_path), "--quick", "--only", "limit,train,sample,cost,stages", "--results", str(tmp_path)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pythae's, where it is installed
        code = bench_command.main(words)
    found = list(csv.DictReader((tmp_path / "bench.csv").read_text().splitlines()))
    assert [row["kind"] for row in found if not row["peer"].startswith("pythae")] == [
        "limit", "limit", "train", "sample", "cost", "stages",
    ]  # fmt: skip
    assert code == 1, "there are no finished results, and that is told"
    by_kind = {row["kind"]: row for row in found}
    low, ratio, high = (float(by_kind["train"][name]) for name in ("ratio_low", "ratio", "ratio_high"))
    assert low <= ratio <= high
    assert 0 < float(by_kind["train"]["of_float32"]) < 1.5
    assert all(row["machine"].count("torch") == 1 for row in found)
    for name in ("bench", "bench_cost"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (tmp_path / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    assert by_kind["train"]["peer"] in capsys.readouterr().out


def test_an_unknown_kind_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench_command.arguments(["--to", "x", "--only", "trian"])
    assert "found 'trian' on cpu, expected some of limit, train" in capsys.readouterr().err


def test_a_command_that_fails_is_told_with_its_last_line(tmp_path: Path) -> None:
    done = commands.python("-c", "print('done')", folder=tmp_path)
    assert done.said == "done\n" and 3 < done.memory_mb < 60 and done.seconds > 0
    with pytest.raises(commands.Failed, match="ended with 3: the reason"):
        commands.python("-c", "import sys; print('the reason'); sys.exit(3)", folder=tmp_path)
