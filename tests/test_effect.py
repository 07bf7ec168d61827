"""What is given and cannot take effect is refused, by the same rule in flags, files, studies and
form; ~ is known, variables are said."""

from __future__ import annotations

import json

import pytest

from cpart_core.cli.command_list import build_parser
from cpart_core.cli.flags import settings_from_flags
from cpart_core.files.paths import path_of_environment, with_home
from cpart_core.model.fusion.random import RandomRouter
from cpart_core.partition.methods import METHODS
from cpart_core.runs.create import command_of
from cpart_core.runs.twins import TWINS, check_twins, twin_settings
from cpart_core.settings.effect import effective, missing, when_in_words, without_effect
from cpart_core.settings.presets import PRESETS
from cpart_core.settings.run import Settings
from cpart_core.study.plan import PLANS, make_plan, read_plan
from tests.source_files import ROOT

CONDITIONED = [item for _, item, _ in Settings().items() if item.when]


def parsed(*words: str, said: list[str] | None = None) -> Settings:
    arguments = build_parser(["train", *words]).parse_args(["train", *words])
    return settings_from_flags(arguments, (said if said is not None else []).append)


def values_against(item) -> list[tuple[str, str]]:
    """(setting, value) that none of the cases of `item` allows."""
    cases = item.when
    choices = {field.name: field.choices for _, field, _ in Settings().items()}
    return [
        (name, value)
        for name in cases[0]
        for value in choices[name]
        if all(isinstance(case.get(name, ""), tuple) and value not in case[name] for case in cases)
    ]


@pytest.mark.parametrize("item", CONDITIONED, ids=lambda item: item.name)
def test_each_condition_refuses_its_setting_and_is_said_in_help(item):
    assert values_against(item)
    for name, value in values_against(item):
        why = without_effect(Settings().with_values({name: value}), [item.name])[item.name]
        assert "takes effect only where" in why and f"{name} is {value}" in why
    assert when_in_words(item).startswith("Takes effect where")


def test_conditions_name_settings_and_values_that_there_are():
    known = {item.name: item for _, item, _ in Settings().items()}
    for item in CONDITIONED:
        for case in item.when:
            for name, test in case.items():
                assert name in known
                assert (
                    isinstance(test, str)
                    or not known[name].choices
                    or set(test) <= set(known[name].choices)
                )
    assert set(known["every"].when[0]["method"]) == {
        name for name, method in METHODS.items() if method.reclusters
    }
    assert missing((), {}) == ""


@pytest.mark.parametrize("entry", PRESETS, ids=lambda entry: entry.name)
def test_presets_and_plans_hold_nothing_without_effect(entry):
    defaults = Settings()
    changed = {
        item.name
        for (_, item, value), (_, _, usual) in zip(
            entry.settings.items(), defaults.items(), strict=True
        )
        if value != usual
    }
    assert not without_effect(entry.settings, changed)
    assert all(read_plan(path) for path in PLANS.glob("*.json"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--execution", "dense", "--top-k", "2"], "top_k was given"),
        (["--execution", "soft", "--top-k", "2"], "execution is soft"),
        (["--balance-weight", "0.1"], "balance is off"),
        (["--affinity-weight", "0", "--affinity-sharpness", "3"], "affinity_weight is 0.0"),
        (["--fusion", "oracle", "--fusion-width", "8"], "fusion_width was given"),
        (["--method", "random", "--every", "10"], "method is random"),
        (["--every", "0", "--freeze-step", "300"], "every is more than 0"),
        (["--freeze-step", "50", "--every", "10"], "freeze_step is 50"),
        (["--context-column", "Label"], "context_column was given"),
        (["--source", "builtin", "--path", "x"], "path was given"),
        (["--path", "/no/such/place"], "without a source, and nothing is there"),
    ],
)
def test_flags_that_cannot_take_effect_are_refused(words, said):
    with pytest.raises(ValueError, match=said) as caught:
        parsed(*words)
    assert len(str(caught.value)) < 400


def test_the_oracle_sharpens_without_a_pull():
    assert (
        parsed("--fusion", "oracle", "--affinity-sharpness", "3").partition.affinity_sharpness
        == 3.0
    )


def test_a_path_says_its_source_and_that_is_said(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    said: list[str] = []
    assert parsed("--path", str(tmp_path / "a.txt"), said=said).corpus.source == "file"
    assert parsed("--path", str(tmp_path), said=said).corpus.source == "folder"
    (tmp_path / "dataset_info.json").write_text("{}")
    assert parsed("--path", str(tmp_path), said=said).corpus.source == "dataset"
    assert [entry.split(":")[0] for entry in said] == [
        "source file",
        "source folder",
        "source dataset",
    ]


def test_a_settings_file_is_held_to_the_same_rule_and_a_record_of_a_run_is_not(tmp_path):
    file = tmp_path / "s.json"
    file.write_text(json.dumps({"model": {"execution": "dense", "top_k": 2}}))
    with pytest.raises(ValueError, match="top_k was given"):
        parsed("--settings", str(file))
    dense = Settings().with_values({"execution": "dense", "top_k": 4})
    said: list[str] = []
    for text in (dense.to_json(), json.dumps({"settings": json.loads(dense.to_json())})):
        file.write_text(text)
        assert parsed("--settings", str(file), said=said) == dense
    assert len(said) == 2 and "top_k has no effect" in said[0]
    file.write_text('{"training": {"steps": 0}}')
    with pytest.raises(ValueError, match=r"s\.json: training.steps is 0"):
        parsed("--settings", str(file))
    file.write_bytes('{"training": {"steps": 5}}'.encode("utf-16"))
    assert parsed("--settings", str(file)).training.steps == 5
    file.write_text('{"training": {"steps": 5, "steps": 6}}')
    with pytest.raises(ValueError, match=r"s\.json: 'steps' stands twice"):
        parsed("--settings", str(file))
    file.write_bytes(b"\xef\xbb\xbf{")
    with pytest.raises(ValueError, match=r"s\.json: not valid JSON"):
        parsed("--settings", str(file))


def test_studies_refuse_what_cannot_take_effect():
    arms = {"base": {}, "other": {"balance_weight": 0.5}}
    with pytest.raises(ValueError, match="Arm other: balance_weight was given"):
        make_plan({"name": "a", "arms": arms})
    with pytest.raises(ValueError, match="top_k was given"):
        make_plan(
            {"name": "a", "settings": {"execution": "dense", "top_k": 3}, "arms": {"base": {}}}
        )
    with pytest.raises(ValueError, match="random twin would be the very same"):
        make_plan(
            {
                "name": "a",
                "settings": {"method": "random"},
                "arms": {"base": {}, "random": "random"},
            }
        )


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"execution": "dense"}, "dense"),
        ({"execution": "dense"}, "router"),
        ({"method": "random"}, "random"),
    ],
)
def test_a_twin_that_is_the_run_itself_is_refused(values, kind):
    with pytest.raises(ValueError, match=f"The {kind} twin would be the very same model"):
        check_twins(Settings().with_values(values), [kind])
    check_twins(Settings(), [name for name in TWINS if name != "gradient"])


@pytest.mark.parametrize("kind", TWINS)
def test_the_command_of_a_twin_trains_it_again(kind):
    settings = twin_settings(
        Settings().with_values(
            {"first_step": 300, "fusion_step": 400, "freeze_step": 500, "top_k": 3}
        ),
        kind,
    )
    assert effective(parsed(*command_of(settings).split()[4:])) == effective(settings)


def test_home_is_known_and_variables_are_said(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CPART_RUNS", "~/runs")
    assert path_of_environment("CPART_RUNS", tmp_path) == tmp_path / "runs"
    (tmp_path / "a.txt").write_text("text")
    assert parsed("--path", "~/a.txt").corpus.source == "file"
    for words in (
        ["train", "--out"],
        ["study", "default", "--out"],
        ["carve", "r", "--text-file"],
        ["coherence", "r", "--json"],
        ["sample", "--out"],
    ):
        assert (
            tmp_path / "x"
            in vars(build_parser([]).parse_args([*words[:-1], f"{words[-1]}=~/x"])).values()
        ), words
    paths = [
        line
        for file in (ROOT / "cpart_core").rglob("*.py")
        for line in file.read_text("utf-8").splitlines()
        if "type=Path" in line
    ]
    assert not paths, "A flag for a path has type=given_path, which knows ~."
    with pytest.raises(ValueError, match=r"holds \$HOME; variables are not expanded here, ~ is"):
        with_home("$HOME/texts", "path")
    (tmp_path / "a$b").mkdir()
    assert with_home(str(tmp_path / "a$b"), "path") == str(tmp_path / "a$b")


def test_older_files_name_what_is_not_chosen_and_are_read(tmp_path):
    """Before methods owned their settings a file named those of all of them."""
    oracle = Settings().with_values({"fusion": "oracle"})
    data = oracle.to_dict()
    data["model"] |= {"pooling": "token", "fusion_temperature": 1, "fusion_width": 32}
    assert Settings.from_json(json.dumps(data)) == oracle and hash(oracle) == hash(
        Settings.from_json(json.dumps(data))
    )
    file, said = tmp_path / "s.json", []
    file.write_text(json.dumps(data))
    assert parsed("--settings", str(file), said=said) == oracle
    assert len(said) == 1 and "pooling has no effect: it takes effect only where" in said[0]
    data["model"]["fusion_width"] = 5000
    with pytest.raises(ValueError, match="model.fusion_width is 5000; allowed: 1 to 1024"):
        Settings.from_json(json.dumps(data))
    data["model"]["fusion_width"] = "wide"
    with pytest.raises(ValueError, match="model.fusion_width must be int; got 'wide'"):
        Settings.from_json(json.dumps(data))
    with pytest.raises(ValueError, match="model.fusion is 'all'; allowed: uniform, attention"):
        Settings.from_json('{"model": {"fusion": "all"}}')


def test_another_method_takes_over_what_it_owns_too():
    width = Settings().with_values({"fusion_width": 8, "pooling": "token"})
    router = width.with_values({"fusion": "random"})
    assert router.model.fusion == RandomRouter("token", fusion_width=8) != width.model.fusion
    assert (
        width.with_values({"fusion": "uniform"})
        .to_dict()["model"]
        .keys()
        .isdisjoint({"pooling", "fusion_temperature", "fusion_width"})
    )


def test_every_method_that_reclusters_has_a_twin():
    assert {name for name, method in METHODS.items() if method.reclusters} <= set(TWINS)
