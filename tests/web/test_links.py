"""A link of today shows the same run after defaults have changed."""

from __future__ import annotations

import copy

import pytest

from eoslab.core.errors import InvalidArgument
from eoslab.web.defaults import TABLES, VERSION
from eoslab.web.request import catalogue, completed, models, parse

#: A link as it was written under version 1, with every key omitted that was a default then.
FROZEN = {"v": "1", "lambda2": "0.001"}


@pytest.fixture
def later():
    """Tables in which a version 2 has other defaults."""
    tables = copy.deepcopy(TABLES)
    tables[2] = copy.deepcopy(tables[1])
    tables[2]["steps"] = 500
    tables[2]["models"]["minimalist"] = {
        "lr": 1.7, "settings": {"lambda1": 2.0, "lambda2": 0.004, "b": 1.0}, "start": [0.5, 0.001, 0.1],
    }  # fmt: skip
    return tables


def test_version_1_is_what_it_was(later):
    request = parse(FROZEN, later)
    assert (request.rule.lr, request.steps, request.w0) == (2.4, 3000, (0.3, 0.001, 0.1))
    assert (request.model.lambda1, request.model.lambda2) == (1.0, 0.001)
    assert request == parse(FROZEN)


def test_version_2_differs_and_is_what_a_request_without_a_version_means(later):
    request = parse(FROZEN | {"v": "2"}, later)
    assert (request.rule.lr, request.steps, request.w0[0], request.model.lambda1) == (1.7, 500, 0.5, 2.0)
    assert parse({"lambda2": "0.001"}, later) == request


@pytest.mark.parametrize("version", ["99", "0", "", "one", [1], None, 1e9])
def test_versions_that_are_not_known_are_said(version):
    with pytest.raises(InvalidArgument, match="v: got"):
        parse({"v": version})


def test_newest_table_is_the_defaults_of_the_code():
    """If this fails, a default has changed: add a table under a new version, leave the old one."""
    newest = TABLES[VERSION]
    today = completed()
    for name in newest["models"]:
        kind = models()[name]
        request = parse({"model": name})
        assert request.chosen == kind(), name
        assert request.given == tuple(kind.default_w0), name
    for name in newest["optimizers"]:
        settings = today["optimizers"][name]
        rule = parse({"optimizer": name}).rule
        assert rule == type(rule)(lr=rule.lr), name
        assert len(settings) == len(rule.settings) - 1


def test_what_no_table_holds_is_named_and_has_the_defaults_of_its_file():
    tables = copy.deepcopy(TABLES)
    del tables[1]["models"]["uv"], tables[1]["optimizers"]["adam"]
    table = completed(1, tables)
    assert table["unversioned"] == ["adam", "uv"]
    assert table["models"]["uv"]["start"] == TABLES[1]["models"]["uv"]["start"]
    assert parse({"model": "uv", "optimizer": "adam"}, tables).model.x == 1.0


def test_page_gets_every_version():
    assert set(catalogue()["defaults"]) == set(TABLES)
