"""``eoslab run``: options, JSON, settings, resume."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

KEYS = {"run", "id", "outcome", "regime", "threshold", "threshold_sharpness", "phases", "events", "initial",
        "final", "max_eta_sharpness", "steps", "seconds"}  # fmt: skip
ROW = {"step", "alpha", "beta1", "beta1_log10_abs", "beta2", "loss", "loss_osc", "loss_conv", "sharpness",
       "gfs_sharpness"}  # fmt: skip


def test_defaults_reach_the_edge_and_settle(call):
    got = call("run", "--json")
    facts = got.json
    assert got.code == 0
    assert set(facts) == KEYS
    assert set(facts["initial"]) == set(facts["final"]) == ROW
    assert (facts["outcome"], facts["regime"], facts["steps"]) == ("converged", "edge", 3000)
    assert facts["threshold"] == 2
    assert math.isclose(facts["threshold_sharpness"], 2 / 2.4)
    assert [facts["initial"][k] for k in ("alpha", "beta1", "beta2")] == [0.3, 0.001, 0.1]
    assert facts["events"][0]["kind"] == "crossing-up"
    assert facts["final"]["sharpness"] < 2 / 2.4


def test_text_says_verdict_numbers_and_where_it_is(call):
    got = call("run")
    lines = got.out.splitlines()
    assert lines[0].startswith("Edge of stability: above 2/η = 0.8333 from step 235 to 832")
    assert "final loss" in lines[1]
    assert "GFS sharpness" in lines[2]
    assert lines[-1].startswith("saved ")
    assert got.err.startswith("next: eoslab report ")


@pytest.mark.parametrize("init", [["--init", "-0.5,1e-3,0.9"], ["--init=-0.5,1e-3,0.9"]])
def test_negative_numbers_are_no_flags(call, init):
    facts = call("run", *init, "--steps", "5", "--json").json
    assert facts["initial"]["alpha"] == -0.5


def test_fractions_as_papers_write_them(call):
    facts = call("run", "--lr", "2/150", "--steps", "5", "--json").json
    assert math.isclose(facts["threshold_sharpness"], 150)


def test_rows_at_steps(call):
    facts = call("run", "--at", "0,10,500", "--json").json
    assert [row["step"] for row in facts["rows"]] == [0, 10, 500]
    assert facts["rows"][0] == facts["initial"]


def test_divergence_is_data(call):
    got = call("run", "--lr", "30", "--at", "0,2000", "--json")
    facts = got.json
    assert got.code == 0
    assert facts["outcome"] == facts["regime"] == "diverged"
    divergence = [e for e in facts["events"] if e["kind"] == "divergence"]
    assert divergence == [{"kind": "divergence", "step": facts["steps"], "value": None}]
    assert facts["final"]["loss"] is None
    assert facts["rows"][1]["step"] == 2000
    assert facts["rows"][1]["alpha"] is None


def test_divergence_fails_on_request(call):
    assert call("run", "--lr", "30", "--fail-on-divergence").code == 3
    assert call("run", "--steps", "5", "--fail-on-divergence").code == 0


@pytest.mark.parametrize(
    ("optimizer", "extra", "threshold"),
    [("gd-floor", ["--floor", "1e-5"], 2), ("gd-cap", [], 2), ("heavy-ball", ["--beta", "0.5"], 3),
     ("adam", ["--beta1", "0.5", "--beta2", "0.9", "--eps", "1e-6"], 6)],
)  # fmt: skip
def test_optimizers_take_their_settings(call, optimizer, extra, threshold):
    facts = call("run", "--optimizer", optimizer, *extra, "--lr", "0.01", "--steps", "20", "--json").json
    assert math.isclose(facts["threshold"], threshold)


def test_decimation_keeps_events(call):
    every = call("run", "--json").json
    rare = call("run", "--record-every", "100", "--json").json
    assert rare["events"] == every["events"]
    assert rare["final"] == every["final"]


def test_other_models_take_parameters(call):
    got = call("run", "--model", "minimalist-d", "--param", "lambdas=1,0.004", "--param", "v=0,1", "--lr", "2.4",
               "--init", "0.3,0.001,0.1", "--json")  # fmt: skip
    assert got.code == 0, got.err
    same = call("run", "--json").json
    assert math.isclose(got.json["final"]["sharpness"], same["final"]["sharpness"], rel_tol=1e-9)


def test_digits_is_the_exact_model_of_the_data(call):
    got = call("run", "--data", "digits", "--lr", "1", "--steps", "30", "--json")
    facts = got.json
    beta = facts["initial"]["beta"]
    assert len(beta) == 61
    assert np.allclose(beta, 0.02 * np.random.default_rng(0).standard_normal(61))
    assert len(facts["final"]["beta_log10_abs"]) == 61


def test_data_from_a_file_and_mini_batches(call, folder):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(50, 3)) * [1, 0.3, 0.1]
    table = np.column_stack([x, x @ [0.0, 1.0, 2.0]])
    np.savetxt(folder / "table.csv", table, delimiter=",", header="a,b,c,y", comments="")
    got = call("run", "--data", "table.csv", "--target", "y", "--lr", "0.5", "--steps", "50")
    assert got.code == 0, got.err
    assert "table.csv: 50 samples of 3 inputs, target y" in got.out
    batches = [
        "run",
        "--data",
        "table.csv",
        "--target",
        "y",
        "--lr",
        "0.1",
        "--batch",
        "10",
        "--steps",
        "50",
        "--json",
    ]
    a, b, c = (call(*batches, "--seed", seed).json for seed in ("1", "1", "2"))
    assert a["threshold"] is None
    assert a["final"] == b["final"] != c["final"]


def test_dry_run_plans_and_stores_nothing(call, folder):
    got = call("run", "--steps", "1e12", "--record-every", "1e9", "--dry-run", "--json")
    plan = got.json["plan"]
    assert plan["steps"] == 10**12
    assert plan["memory_bytes"] > 0
    assert plan["seconds_estimate"] > 1000
    assert not (folder / "runs").exists()
    assert "memory" in call("run", "--dry-run").out


def test_flag_over_environment_over_file_over_default(call, folder, monkeypatch):
    (folder / "eoslab.toml").write_text('[run]\nlr = "2/3"\nsteps = 7\ninit = [0.2, 0.001, 0.1]\nlambda1 = 2\n')
    monkeypatch.setenv("EOSLAB_STEPS", "9")
    monkeypatch.setenv("EOSLAB_LAMBDA1", "3")
    facts = call("run", "--lambda1", "4", "--json").json
    assert math.isclose(facts["threshold_sharpness"], 3)
    assert facts["steps"] == 9
    assert facts["initial"]["alpha"] == 0.2
    shown = call("runs", "show", facts["id"], "--json").json["attributes"]
    assert shown["parameters"]["model"]["lambda1"] == 4
    sources = shown["sources"]
    assert sources["lambda1"] == "flag"
    assert sources["steps"] == "environment EOSLAB_STEPS"
    assert sources["lr"] == sources["init"] == "eoslab.toml"
    assert sources["b"] == "default"
    text = call("runs", "show", facts["id"]).out
    assert "eoslab.toml" in text
    assert "environment EOSLAB_STEPS" in text


def test_the_stored_command_repeats_the_run(call):
    first = call(
        "run", "--lr", "2/150", "--lambda2", "0.01", "--optimizer", "gd-floor", "--steps", "40", "--json"
    ).json
    command = call("runs", "show", first["id"], "--json").json["attributes"]["command"]
    assert command.startswith("eoslab run ")
    again = call(*command.split(" ")[1:], "--json").json
    assert again["final"] == first["final"]


def test_resume_extends_a_finished_run_exactly(call):
    whole = call("run", "--steps", "2000", "--json").json
    half = call("run", "--steps", "1200", "--json").json
    extended = call("run", "--resume", half["id"], "--steps", "2000", "--json").json
    assert extended["id"] == half["id"]
    assert extended["steps"] == 2000
    assert extended["final"] == whole["final"]
    assert extended["events"] == whole["events"]
    command = call("runs", "show", half["id"], "--json").json["attributes"]["command"]
    assert "--steps 2000" in command


def test_resume_refuses_other_settings_and_finished_runs(call):
    run = call("run", "--steps", "10", "--json").json["id"]
    assert "goes on with the settings of the run" in call("run", "--resume", run, "--lr", "1").err
    got = call("run", "--resume", run)
    assert got.code == 2
    assert f"--resume {run} --steps 20 doubles them" in got.err
    assert call("run", "--resume", run, "--steps", "5").code == 2


def test_quiet_and_verbose(call):
    assert call("run", "--steps", "5", "-q").err == ""
    assert "again: eoslab run" in call("run", "--steps", "5", "-v").out


def test_strict_json_has_no_nan(call):
    got = call("run", "--lr", "30", "--json")
    json.loads(got.out, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
