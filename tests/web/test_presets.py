"""Every preset shows what its name promises; of the textbook sets also what docs/theory states about them."""

from __future__ import annotations

import pytest

from eoslab.web.presets import BOOK, PRESETS
from eoslab.web.request import parse
from eoslab.web.verdict import attempt, beside

#: Set: the interval for T1 as it is stated, T1, the number of excursions or None, S·η − 2 at most or None.
#: (docs/theory/examples.md)
STATED = {
    "M1": ((78, 184), 157, None, 0.0085),
    "M2": ((160, 281), 186, None, 0.117),
    "M4": ((40, 177), 159, None, 0.337),
    "M6": ((680, 4356), 2178, None, 0.142),
    "S1": ((15, 18), 17, 5, None),
    "S2": ((32, 37), 36, 9, None),
    "S5": ((95, 342), 306, 2, None),
    "S7": ((19, 64), 61, 1, None),
    "S8": ((392, 2268), 1134, 5, None),
}


@pytest.fixture(scope="module")
def runs():
    requests = {key: parse(preset.asked) for key, preset in PRESETS.items()}
    return {key: (request, request.run()) for key, request in requests.items()}


@pytest.mark.parametrize("key", PRESETS)
def test_the_classifier_says_what_the_name_promises(runs, key):
    _, ds = runs[key]
    assert str(ds["regime"].values) == PRESETS[key].regime


def test_digits_end_in_the_two_cycle_of_their_name(runs):
    assert str(runs["digits"][1]["outcome"].values) == "period-2"


def test_all_nine_textbook_sets_are_there():
    assert {key for key, preset in PRESETS.items() if preset.group == BOOK} == set(STATED)


@pytest.mark.parametrize("key", STATED)
def test_textbook_sets_do_what_the_theory_states(runs, key):
    request, ds = runs[key]
    (low, high), T1, excursions, over = STATED[key]
    assert int(ds["T1"]) == T1
    # the page's interval is that of Theorem 3.2 with its integrals, nowhere wider than the stated one
    found = beside(request, ds)
    assert low <= found["T1"][0] <= T1 <= found["T1"][1] <= high
    assert excursions in (None, int(ds["excursions"]))
    if over is not None:
        assert float(ds["max_eta_sharpness"]) - 2 <= found["delta"] <= over
    # a settled run is long enough to have come to its last phase
    assert int(ds["T2"]) > 0
    assert [row[3] for row in found["rows"] if row[3] is False] == []


def test_what_theory_says_is_beside_what_happened(runs):
    rows = beside(*runs["M1"])["rows"]
    assert rows == [
        ["regime", "tame edge – proved (4.6')", "edge of stability", True],
        ["ηλ₁α² ≥ 2 first", "step 78 to 174", "step 157", True],
        ["largest sharpness", "at most 2.0080/η (δ = 0.008)", "2.0055/η", True],
    ]


def test_an_interval_that_is_not_over_decides_nothing():
    request = parse(PRESETS["M1"].asked | {"steps": 100})
    assert [row[3] for row in beside(request, request.run())["rows"]] == [None, None, True]


@pytest.mark.parametrize(
    "asked",
    [{"lr": 1.5}, {"lr": 0.3}, {"model": "digits", "lr": 0.25}, {"optimizer": "heavy-ball", "lr": 0.1},
     {"model": "scalar-product", "lr": 0.02}],
)  # fmt: skip
def test_the_suggested_rate_reaches_the_edge(asked):
    request = parse(asked)
    lr = attempt(request, request.run())
    assert lr > request.rule.lr
    again = parse(asked | {"lr": lr}).run()
    assert str(again["regime"].values) in ("edge", "edge-unsettled")


def test_no_rate_is_suggested_where_only_divergence_lies_beyond():
    request = parse({"model": "quadratic"})
    assert attempt(request, request.run()) is None
