"""``eoslab train``: what it prints and stores, and that no kill, signal or pause changes a single bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

import eoslab
from eoslab.results.store import Store

#: A network that trains in no time and crosses its threshold.
SMALL = ["--hidden", "16", "--samples", "60", "--lr", "0.5", "--eigs", "2"]
KEYS = {
    *("outcome", "regime", "threshold", "first_crossing", "mean_ratio_second_half", "final", "hvp_total"),
    *("hvp_per_step", "cost_in_gradient_steps", "seconds"),
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("EOSLAB_") and name != "EOSLAB_CACHE":
            monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def call(capsys):
    """A command in this process: exit code, stdout, stderr."""
    from eoslab.cli.app import call as run_command

    def run(*argv):
        capsys.readouterr()
        code = run_command(list(argv))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def train(call):
    """The JSON object of a training."""

    def run(*argv):
        code, out, err = call("train", *argv, "--json", "-q")
        assert code == 0, err
        return json.loads(out)

    return run


def same(a, b):
    """Two stored runs in every variable, and their checkpoints, bit for bit."""
    a, b = Path(a), Path(b)
    one, two = (Store(path.parent).open(path) for path in (a, b))
    assert set(one.variables) == set(two.variables)
    assert [name for name in one.variables if not one[name].equals(two[name])] == []
    assert one.attrs["parameters"] == two.attrs["parameters"]
    with np.load(a / "checkpoint.npz") as x, np.load(b / "checkpoint.npz") as y:
        assert sorted(x.files) == sorted(y.files)
        assert [name for name in x.files if not np.array_equal(x[name], y[name])] == []


def started(folder, *argv):
    """A training in a process of its own."""
    source = str(Path(eoslab.__file__).parents[1])
    env = {k: v for k, v in os.environ.items() if not k.startswith("EOSLAB_") or k == "EOSLAB_CACHE"}
    return subprocess.Popen(
        [sys.executable, "-m", "eoslab", "train", *SMALL, *argv],
        cwd=folder, env=env | {"PYTHONPATH": source, "OMP_NUM_THREADS": "1"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for_steps(steps):
    """The one run in ./runs, once so many steps of it are stored."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        found = [run for run in Store("runs").list() if not run.problem]
        if found and (found[0].steps or 0) >= steps:
            return found[0]
        time.sleep(0.05)
    raise AssertionError("the training did not come this far")


# -- what comes out ---------------------------------------------------------------------------------------


def test_the_record_has_the_promised_keys_and_agrees_with_the_stored_run(train):
    record = train(*SMALL, "--steps", "60")
    assert set(record) >= KEYS
    ds = Store("runs").open(record["id"])
    eta = ds["eta_sharpness"].values
    assert record["threshold"] == 2
    assert record["first_crossing"] == int(np.flatnonzero(eta >= 2)[0])
    assert record["mean_ratio_second_half"] == pytest.approx(eta[30:].mean() / 2)
    assert record["final"]["sharpness"] == pytest.approx(float(ds["sharpness"][-1]))
    assert record["hvp_total"] == int(ds["matvecs"].sum())
    assert record["cost_in_gradient_steps"] > 0
    assert Store("runs").verify(record["id"]) == []


def test_a_run_follows_the_schema(train):
    ds = Store("runs").open(train(*SMALL, "--steps", "40", "--every", "7")["id"])
    assert set(ds.sizes) == {"step", "eig", "event"}
    for name in ("eigenvalues", "eig_residual", "eig_bound", "eig_converged"):
        assert ds[name].dims == ("step", "eig")
    steps = ds["step"].values[ds["measured"].values].tolist()
    assert steps == [0, 7, 14, 21, 28, 35, 40], "every seventh, the first and the last"
    assert np.isfinite(ds["loss"]).all()
    assert np.isnan(ds["sharpness"].values[~ds["measured"].values]).all()
    assert (ds["matvecs"].values > 0).tolist() == ds["measured"].values.tolist()
    assert ds["eigenvalues"].values[0, 0] == ds["sharpness"].values[0]
    assert np.array_equal(ds["time"], 0.5 * ds["step"])
    assert 0 < float(ds["accuracy"][-1]) <= 1
    assert ds.attrs["dtype"] == "float64"
    assert ds.attrs["seed"] == 0
    assert ds.attrs["device"] == "cpu"
    assert ds.attrs["loss_convention"].startswith("mse")
    assert json.loads(ds.attrs["versions"])["torch"] == torch.__version__
    assert ds.attrs["command"].startswith("eoslab train ")


def test_each_stored_eigenvalue_lies_within_its_bound(train):
    from eoslab.curvature import hessian, top_eigenpairs
    from eoslab.nn import recipes, rules
    from eoslab.nn import train as loop

    record = train(*SMALL, "--steps", "30")
    ds = Store("runs").open(record["id"])
    objective = recipes.build(json.loads(ds.attrs["parameters"])["model"])
    weights = {0: objective.w0} | {
        r.step + 1: r.state.w for r in loop(objective, rules.GD(0.5), steps=30) if r.step < 30
    }
    for step in range(0, 31, 5):
        exact = top_eigenpairs(hessian(objective, weights[step]), 2, 1e-10).values
        assert (np.abs(ds["eigenvalues"].values[step] - exact) <= ds["eig_bound"].values[step]).all()


@pytest.mark.parametrize("live", [[], ["--live"]])
def test_a_run_is_written_at_its_beginning_its_checkpoints_and_its_end(train, monkeypatch, live):
    from eoslab.nn import NetworkRun

    save, steps = NetworkRun.save, []

    def counted(run, *rest):
        steps.append(run.rows.columns["step"][-1])
        return save(run, *rest)

    monkeypatch.setattr(NetworkRun, "save", counted)
    train(*SMALL, "--steps", "25", "--checkpoint-every", "10", *live)
    assert steps == [0, 9, 19, 25]


def test_several_learning_rates_are_several_runs(call, train):
    record = train(*SMALL[:4], "--lr", "2/4,2/40", "--steps", "20")
    assert [run["lr"] for run in record["runs"]] == [0.5, 0.05]
    assert [run["threshold"] for run in record["runs"]] == [2, 2]
    ids = [run["id"] for run in record["runs"]]
    code, _, err = call("figure", "eta-sweep", *ids, "-o", "sweep.svg")
    assert (code, err) == (0, "")


def test_divergence_is_an_outcome_with_its_data_kept(call, train):
    record = train("--hidden", "16", "--samples", "60", "--act", "linear", "--lr", "20", "--steps", "200")
    assert record["outcome"] == record["regime"] == "diverged"
    ds = Store("runs").open(record["id"])
    assert str(ds["event_kind"].values[-1]) == "divergence"
    assert np.isnan(float(ds["loss"][-1]))
    assert np.isfinite(ds["loss"][:-1]).all()
    argv = ["train", "--hidden", "16", "--samples", "60", "--act", "linear", "--lr", "20", "--steps", "200"]
    assert call(*argv, "-q", "--fail-on-divergence")[0] == 3
    code, _, err = call("train", "--resume", record["id"], "--steps", "300")
    assert code == 2
    assert "a run that has not diverged" in err


def test_a_rule_with_a_preconditioner_is_compared_with_its_own_threshold(call, train):
    record = train(*SMALL[:4], "--optimizer", "adam", "--lr", "1e-3", "--steps", "20")
    assert record["threshold"] == pytest.approx(38)
    ds = Store("runs").open(record["id"])
    assert np.isnan(ds["sharpness"]).all(), "λmax(H) itself was not measured"
    assert record["final"]["sharpness"] == pytest.approx(float(ds["eta_sharpness"][-1]) / 1e-3)
    point = json.loads(call("sharpness", record["id"], "--json")[1])
    assert point["ratio"] == pytest.approx(record["final"]["ratio"], rel=2e-3)
    assert call("figure", "loss-sharpness", record["id"], "-o", "f.svg")[0] == 0


def test_sam_is_compared_with_an_edge_that_moves(call, train):
    from eoslab.plots import draw

    record = train(*SMALL[:4], "--optimizer", "sam", "--rho", "0.1", "--lr", "0.2", "--steps", "40", "--eigs", "1")
    ds = Store("runs").open(record["id"])
    edge, s = ds["edge"].values, ds["sharpness"].values
    assert record["threshold"] == 2
    assert (edge < 10).all(), "below 2/η"
    assert len(np.unique(edge)) > 10
    assert ds["sharpness"].values.tolist() == ds["eigenvalues"].values[:, 0].tolist()
    # above the threshold and above the edge are the same steps, so the events are those of the edge
    assert ((ds["eta_sharpness"].values >= 2) == (s >= edge)).all()
    first = int(np.flatnonzero(s >= edge)[0])
    assert record["first_crossing"] == first
    _, sharp = draw("loss-sharpness", ds).axes
    (drawn,) = [line for line in sharp.get_lines() if line.get_gid() == "threshold"]
    assert drawn.get_ydata().max() == pytest.approx(edge.max())
    for name in ("eigenvalues", "eta-sweep"):
        assert call("figure", name, record["id"], "-o", f"{name}.svg")[0] == 0
    assert "edge" in call("runs", "show", record["id"])[1]
    point = json.loads(call("sharpness", record["id"], "--json")[1])
    assert point["edge"] == pytest.approx(edge[-1])
    assert point["ratio"] == pytest.approx(record["final"]["ratio"], rel=2e-3)


def test_probes_have_cadences_of_their_own_with_the_first_and_the_last_step(call, train):
    probes = "alignment=12,trace=10,self-stabilization"
    ds = Store("runs").open(train(*SMALL[:4], "--steps", "25", "--every", "6", "--probes", probes)["id"])

    def measured(name):
        return np.unique(np.argwhere(np.isfinite(ds[name].values))[:, 0]).tolist()

    assert measured("sharpness") == [0, 6, 12, 18, 24, 25]
    assert measured("alignment") == [0, 12, 24, 25]
    assert measured("hessian_trace") == [0, 10, 20, 25]
    assert measured("stabilization_beta") == [0, 12, 24, 25], "every tenth step by default, where eigenvalues are"
    code, _, err = call("train", *SMALL[:4], "--steps", "25", "--every", "6", "--probes", "alignment=5", "-q")
    assert code == 2
    assert "a multiple of 6 steps" in err


def test_mini_batches_have_no_threshold(train):
    record = train(*SMALL, "--batch", "20", "--steps", "20", "--probes", "batch-sharpness=10")
    assert record["threshold"] is None
    assert record["regime"] == "no-threshold"
    ds = Store("runs").open(record["id"])
    assert np.isfinite(ds["batch_sharpness"].values[[0, 10, 20]]).all()
    assert np.isfinite(ds["batch_sharpness_stderr"].values[[0, 10, 20]]).all()
    assert np.isfinite(ds["sharpness"]).all()


def test_reports_figures_and_exports_take_the_run(call, train):
    id = train(*SMALL, "--steps", "30", "--every", "5", "--probes", "alignment,displacement,trace=30")["id"]
    for name in ("loss-sharpness", "eigenvalues", "eta-sweep"):
        assert call("figure", name, id, "-o", f"{name}.svg")[0] == 0
    assert call("report", id, "-o", "report.html")[0] == 0
    text = Path("report.html").read_text(encoding="utf-8")
    assert "training mlp on digits" in text
    assert "7 of 31 steps, each with residual and error bound" in text
    for suffix in ("csv", "npz", *(["nc"] if find_spec("h5py") else [])):
        assert call("runs", "export", id, "-o", f"run.{suffix}")[0] == 0
    assert "eigenvalues_2" in Path("run.csv").read_text(encoding="utf-8")
    code, out, _ = call("runs", "show", id)
    assert code == 0
    assert "mlp" in out


def test_sharpness_measured_at_single_steps_is_drawn_as_markers(train):
    from eoslab.plots import draw

    ds = Store("runs").open(train(*SMALL, "--steps", "60", "--every", "6")["id"])
    loss, sharp = draw("loss-sharpness", ds).axes
    (curve,) = [line for line in sharp.lines if len(line.get_xdata()) > 2]
    assert curve.get_linestyle() == "None"
    assert curve.get_marker() == "o"
    assert loss.lines[0].get_linestyle() == "-", "the loss is known at every step"


# -- resume -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("extra", [[], ["--every", "4"], ["--optimizer", "adam", "--lr", "1e-2"],
                                   ["--batch", "25", "--probes", "alignment,gni=10"]],
                         ids=["gd", "every 4", "adam", "batches"])  # fmt: skip
def test_a_finished_run_goes_on_as_if_it_had_been_asked_for_more(train, extra):
    whole = train(*SMALL, *extra, "--steps", "50")
    part = train(*SMALL, *extra, "--steps", "22")
    longer = train("--resume", part["id"], "--steps", "50")
    assert longer["id"] == part["id"]
    assert {k: longer[k] for k in KEYS - {"seconds", "cost_in_gradient_steps"}} == {
        k: whole[k] for k in KEYS - {"seconds", "cost_in_gradient_steps"}
    }
    same(whole["run"], longer["run"])
    commands = [Store("runs").open(r["id"]).attrs["command"] for r in (whole, longer)]
    assert commands[0] == commands[1]


def test_kill_9_loses_no_more_than_the_steps_since_the_last_checkpoint(folder, train):
    process = started(folder, "--steps", "1000000", "--checkpoint-every", "20", "--live", "-q")
    wait_for_steps(60)
    process.kill()
    process.communicate()
    (killed,) = Store("runs").list()
    assert killed.outcome == "interrupted"
    assert killed.steps >= 60
    assert Store("runs").verify(killed.id) == []
    made = points(killed.path)
    assert [line["step"] for line in made] == list(range(len(made)))
    assert killed.live.state == "running", "the last line is young, and nobody said that it is over"
    total = str(killed.steps + 30)
    resumed = train("--resume", killed.id, "--steps", total)
    first, again = [line for line in journal(killed.path) if line.get("kind") == "start"]
    assert (first["step"], again["step"]) == (0, killed.steps)
    assert journal(killed.path)[-1]["kind"] == "end", "a journal that was begun is gone on with"
    same(train(*SMALL, "--steps", total, "--checkpoint-every", "20")["run"], resumed["run"])


def test_ctrl_c_saves_and_says_how_to_go_on(folder, train):
    process = started(folder, "--steps", "1000000", "--json")
    wait_for_steps(0)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    record = json.loads(out)
    assert record["outcome"] == "interrupted"
    assert f"eoslab train --resume {record['id']}" in err
    total = str(record["steps"] + 20)
    same(train(*SMALL, "--steps", total)["run"], train("--resume", record["id"], "--steps", total)["run"])


def journal(path):
    """The lines of a run's journal; a killed writer's last one may be cut."""
    text = (Path(path) / "live.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("}\n")]


def points(path):
    return [line for line in journal(path) if "kind" not in line]


def test_the_journal_has_each_measured_step_and_survives_the_checkpoints(train):
    record = train(*SMALL, "--steps", "50", "--every", "5", "--checkpoint-every", "8", "--live")
    start, *_, end = journal(record["run"])
    lines = points(record["run"])
    assert [line["step"] for line in lines] == list(range(0, 51, 5))
    assert lines[-1]["sharpness"] == record["final"]["sharpness"]
    assert lines[0]["threshold"] == 2
    assert (start["kind"], start["steps"], start["every"]) == ("start", 50, 5)
    assert (end["kind"], end["outcome"], end["step"]) == ("end", record["outcome"], 50)
    assert Store("runs").verify(record["id"]) == []


def test_the_events_of_the_journal_are_those_of_the_run(train):
    record = train(*SMALL, "--lr", "2/8", "--steps", "40", "--live")
    longer = train("--resume", record["id"], "--steps", "60")
    ds = Store("runs").open(longer["id"])
    # a step that is made again is told again
    told = list(dict.fromkeys((x["event"], x["step"]) for x in journal(longer["run"]) if x.get("kind") == "event"))
    known = zip(ds["event_kind"].values.tolist(), ds["event_step"].values.tolist(), strict=True)
    assert told == list(known)
    assert told, "the step size is large enough for a crossing"


def test_the_journal_ends_with_the_error_of_a_run_that_fails(train, monkeypatch):
    from eoslab.probes import Accuracy

    plain = Accuracy.measure

    def measure(self, snapshot):
        if snapshot.step == 20:
            raise ZeroDivisionError("a probe of ones own")
        return plain(self, snapshot)

    monkeypatch.setattr(Accuracy, "measure", measure)
    with pytest.raises(ZeroDivisionError):
        train(*SMALL, "--steps", "50", "--live")
    (run,) = Store("runs").list()
    assert run.live.state == "failed"
    end = journal(run.path)[-1]
    assert end["outcome"] == "failed"
    assert end["error"][-1] == "ZeroDivisionError: a probe of ones own"


def test_a_run_goes_on_in_its_own_command_only(call, train):
    network = train(*SMALL, "--steps", "5")["id"]
    code, _, err = call("run", "--resume", network, "--steps", "10")
    assert code == 2
    assert f"eoslab train --resume {network}" in err
    model = json.loads(call("run", "--steps", "5", "--json")[1])["id"]
    code, _, err = call("train", "--resume", model, "--steps", "10")
    assert code == 2
    assert f"eoslab run --resume {model}" in err


# -- options ----------------------------------------------------------------------------------------------

NET = """
import torch
from eoslab.nn import losses

def build():
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))

def task():
    x = torch.linspace(-1, 1, 30, dtype=torch.float64).reshape(10, 3)
    return build(), losses.mse, (x, x.sum(1, keepdim=True))

def number():
    return 3
"""


def test_a_module_of_ones_own(call, train, folder):
    (folder / "net.py").write_text(NET, encoding="utf-8")
    record = train("--module", "net.py:task", "--lr", "0.1", "--steps", "20")
    assert train("--resume", record["id"], "--steps", "30")["steps"] == 30
    point = json.loads(call("sharpness", record["id"], "--json")[1])
    assert point["converged"] == [True, True]
    code, _, err = call("train", "--module", "net.py:number")
    assert code == 2
    assert "returned int" in err
    code, _, err = call("train", "--module", "other.py:task")
    assert code == 2
    assert "there is no file other.py" in err


def test_sharpness_of_saved_weights(call, folder):
    from eoslab.curvature import hessian
    from eoslab.nn import recipes

    settings = {"arch": "mlp", "hidden": [8], "act": "tanh", "data": "digits", "samples": 50}
    objective = recipes.build(settings)
    torch.save(objective.module.state_dict(), folder / "weights.pt")
    argv = ["sharpness", "weights.pt", "--hidden", "8", "--samples", "50", "--lr", "0.2", "--json"]
    point = json.loads(call(*argv)[1])
    op = hessian(objective, objective.w0)
    dense = np.stack([op.matvec(row) for row in np.eye(objective.n)])
    assert point["eigenvalues"] == pytest.approx(np.linalg.eigvalsh(dense)[::-1][:2], rel=1e-6)
    assert point["ratio"] == pytest.approx(0.1 * point["sharpness"])
    assert call("sharpness", "weights.pt", "--hidden", "9", "--samples", "50")[0] == 2


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--arch", "mpl"], "did you mean 'mlp'?"),
        (["--act", "tan"], "did you mean 'tanh'?"),
        (["--data", "digit"], "did you mean 'digits'?"),
        (["--loss", "cee"], "did you mean 'ce'?"),
        (["--optimizer", "adma"], "did you mean 'adam'?"),
        (["--preset", "digit"], "did you mean 'digits'?"),
        (["--dtype", "float16"], "float32, float64"),
        (["--lr", "0.1,x"], "expected a number"),
        (["--beta", "0.9"], "a setting of 'gd'"),
        (["--data", "cifar10-5k"], "--data-dir"),
        (["--data", "chebyshev-5-20", "--loss", "ce"], "not classes"),
        (["--batch", "100000"], "the samples"),
        (["--probes", "aligment"], "did you mean 'alignment'?"),
        (["--preset", "digits", "--optimizer", "adam"], "--lr with it"),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else "",
)
def test_wrong_options_are_told_what_is_right(call, argv, said):
    code, out, err = call("train", *argv, "--steps", "2")
    assert code == 2, err
    assert said in err.replace("\n", " ")
    assert out == ""


def test_settings_come_in_their_order(call, folder, monkeypatch):
    (folder / "eoslab.toml").write_text('[train]\nsamples = 40\nlr = "2/8"\nsteps = 4\n', encoding="utf-8")
    monkeypatch.setenv("EOSLAB_LR", "2/9")
    plan = json.loads(call("train", "--preset", "digits", "--hidden", "8", "--dry-run", "--json")[1])["plan"]
    assert plan["optimizer_settings"]["lr"] == 2 / 9
    assert plan["steps"] == 4
    assert plan["settings"]["samples"] == 40
    assert plan["settings"]["hidden"] == [8]
    assert plan["seconds_estimate"] > 0
    assert not Path("runs").exists(), "a plan trains nothing"


def test_the_command_of_a_run_repeats_it(call, train):
    import shlex

    first = train("--preset", "digits", "--hidden", "12", "--samples", "40", "--steps", "6", "--seed", "3")
    words = shlex.split(Store("runs").open(first["id"]).attrs["command"])
    same(first["run"], train(*words[2:])["run"])


def test_early_stop_at_a_loss(train):
    record = train(*SMALL, "--steps", "500", "--until-loss", "0.3")
    assert record["final"]["loss"] <= 0.3
    assert record["steps"] < 500
    assert record["outcome"] == "running", "it was not interrupted"
    later = str(record["steps"] + 5)
    whole, longer = train(*SMALL, "--steps", later), train("--resume", record["id"], "--steps", later)
    assert longer["final"] == whole["final"]


def test_memory_that_does_not_suffice_is_answered_by_what_to_do_and_keeps_the_run(call, monkeypatch):
    from eoslab.nn.mean import SampleMean

    made = []
    loss = SampleMean.loss

    def full(self, flat, x, y):
        made.append(1)
        if len(made) > 12:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes.")
        return loss(self, flat, x, y)

    monkeypatch.setattr(SampleMean, "loss", full)
    code, _, err = call("train", *SMALL, "--steps", "50", "-q")
    assert code == 1
    assert err.startswith("error[E114]: step ")
    assert "what was made is in" in err
    assert "float32" in err


def test_a_run_without_eigenvalues_says_so():
    from eoslab.nn import recipes
    from eoslab.results.summary import verdict_sentence

    objective = recipes.build({"hidden": [8], "act": "tanh", "samples": 40})
    ds = eoslab.trajectory(objective, eoslab.optimizers.GD(lr=0.1), steps=5, probes=[])
    assert not ds["measured"].any()
    assert verdict_sentence(ds).endswith("the sharpness was not measured")


@pytest.mark.parametrize("arch", ["deep-linear", "cnn", "vgg", "resnet", "vit"])
def test_the_architectures_train_on_digits(train, arch):
    argv = ["--arch", arch, "--samples", "12", "--lr", "0.01", "--steps", "2", "--eigs", "1", "--tol", "0.1"]
    assert train(*argv)["final"]["sharpness"] > 0


def test_a_transformer_trains_on_sorting(train):
    record = train("--arch", "gpt", "--data", "sorting", "--samples", "10", "--loss", "ce", "--lr", "0.05",
                   "--steps", "3", "--eigs", "1", "--tol", "0.1")  # fmt: skip
    assert record["final"]["loss"] > 0


# -- the library ------------------------------------------------------------------------------------------


def test_trajectory_takes_an_objective_and_a_rule_of_the_catalogue(folder):
    from eoslab.nn import recipes

    objective = recipes.build({"hidden": [8], "act": "tanh", "samples": 40})
    probes = [
        eoslab.probes.TopEigenvalues(k=2),
        eoslab.probes.Alignment(),
        eoslab.probes.SelfStabilization(every=5),
    ]
    ds = eoslab.trajectory(objective, eoslab.optimizers.HeavyBall(lr=0.1), steps=10, probes=probes, store="kept")
    assert float(ds["threshold"]) == pytest.approx(3.8)
    assert ds["alignment"].dims == ("step", "eig")
    assert (ds["alignment"].sum("eig") <= 1 + 1e-9).all()
    assert np.isfinite(ds["stabilization_beta"].values[[0, 5, 10]]).all()
    assert np.isnan(ds["stabilization_beta"].values[1])
    (stored,) = Store("kept").list()
    assert Store("kept").open(stored.id).identical(ds)
    batches = eoslab.dynamics.MiniBatch(eoslab.optimizers.GD(lr=0.1), batch=10)
    assert str(eoslab.trajectory(objective, batches, steps=3)["regime"].values) == "no-threshold"


def test_a_quadratic_is_a_two_cycle_at_its_threshold_and_converges_below():
    from eoslab.nn import Objective, losses

    module = torch.nn.Linear(2, 1, bias=False).double()
    with torch.no_grad():
        module.weight.copy_(torch.tensor([[1.0, 1.0]]))
    x = torch.diag(torch.tensor([2.0, 0.5], dtype=torch.float64))
    objective = Objective(module, losses.mse, (x, torch.zeros(2, 1, dtype=torch.float64)))
    # H = diag(2, 1/8)
    ds = eoslab.trajectory(objective, eoslab.optimizers.GD(lr=0.9), steps=600)
    assert (str(ds["outcome"].values), str(ds["regime"].values)) == ("converged", "stable")
    ds = eoslab.trajectory(objective, eoslab.optimizers.GD(lr=1.0), steps=600)
    assert str(ds["outcome"].values) == "period-2"
    assert (ds["event_kind"].values == "crossing-up").sum() == 0, "it starts at the threshold"


def test_a_model_takes_no_probes():
    from eoslab.core.errors import InvalidArgument

    with pytest.raises(InvalidArgument, match="measured exactly"):
        eoslab.trajectory(eoslab.models.Minimalist(), eoslab.optimizers.GD(lr=1.0), steps=2, probes=[])
