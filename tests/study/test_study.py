"""Studies: valid settings, and the error message of each invalid setting."""

import time
from typing import Any

import pytest

from lrreport.errors import LrreportError
from lrreport.study.load import load_study
from lrreport.study.metrics import QUANTITIES
from lrreport.study.settings import MLP, SGD, Own
from lrreport.study.study import Study, parse_study
from lrreport.study.tables import list_planned

VARY = {"learning_rate": [0.1]}


def parse(**settings: Any) -> Study:
    return parse_study({"name": "x", **settings}, "my.toml")


def test_a_run_is_one_level_and_one_seed() -> None:
    study = parse(vary={"learning_rate": [0.1, 0.01]}, seeds=[3, 1])
    planned = [(run.level.name, run.seed) for run in study.plan()]
    assert planned == [("0.1", 1), ("0.1", 3), ("0.01", 1), ("0.01", 3)]
    unequal = [(run.level.index, run.seed) for run in study.plan({0: [7], 1: []})]
    assert unequal == [(0, 7)]


@pytest.mark.parametrize(
    ("by_level", "planned"),
    [
        ([{1, 2}, {1, 2, 3}], [1, 2, 3]),
        ([{1}, {1, 2}, {2}], [1, 2]),
        ([{1, 2}, {3, 4}], []),
        ([{1, 2}, {1, 2}, {3, 4}], []),
        ([{1, 2}], [1, 2]),
        ([{1}, set()], []),
    ],
)
def test_seeds_are_planned_unless_a_level_has_its_own(by_level: list[set[int]], planned: list[int]) -> None:
    assert sorted(list_planned(by_level)) == planned


def test_seeds_are_a_list_or_grow_from_first_to_most() -> None:
    assert parse(vary=VARY).seeds.initial == (0, 1, 2, 3, 4)
    growing = parse(vary=VARY, seeds={"first": 3, "most": 12}).seeds
    assert (growing.initial, growing.n_most, growing.extend(6)) == ((0, 1, 2), 12, (0, 1, 2, 3, 4, 5))
    listed = parse(vary=VARY, seeds=[4, 2]).seeds
    assert (listed.initial, listed.n_most, listed.extend(4)) == ((2, 4), 2, (2, 4, 0, 1))


def test_any_one_or_two_settings_vary() -> None:
    alone = parse(vary={"optimizer": {"weight_decay": [0.0, 0.01]}})
    assert [factor.name for factor in alone.factors] == ["optimizer.weight_decay"]
    assert [alone.training_of(level).optimizer.weight_decay for level in alone.levels] == [0.0, 0.01]
    short = parse(vary={"weight_decay": [0.0, 0.01]})
    assert short.levels == alone.levels
    both = parse(vary={"batch_size": [16, 128], "learning_rate": [0.1, 0.01, 0.001]})
    assert [factor.name for factor in both.factors] == ["learning_rate", "batch_size"]
    assert [(level.values["batch_size"], level.values["learning_rate"]) for level in both.levels] == [
        (16, 0.1), (16, 0.01), (16, 0.001), (128, 0.1), (128, 0.01), (128, 0.001),
    ]  # fmt: skip
    assert both.levels[4].name == "0.01 with batch size 128"
    own = parse(vary={"model": {"width": [8, 16]}}, fixed={"model": "nets:make"})
    assert [own.training_of(level).model for level in own.levels] == [
        Own(name="nets:make", width=8), Own(name="nets:make", width=16),
    ]  # fmt: skip


def test_a_factor_of_one_value_is_fixed_beside_another_that_varies() -> None:
    study = parse(vary={"learning_rate": [0.1], "optimizer": {"weight_decay": [0.0, 0.01]}})
    assert [factor.name for factor in study.factors] == ["optimizer.weight_decay"]
    assert {study.training_of(level).learning_rate for level in study.levels} == {0.1}
    assert [factor.name for factor in parse(vary=VARY).factors] == ["learning_rate"]


def test_values_of_a_factor_have_learning_rates_of_their_own() -> None:
    optimizers = [
        {"name": "sgd", "momentum": 0.9, "learning_rate": [0.1, 0.01]},
        {"name": "adam", "learning_rate": 0.001},
    ]
    study = parse(vary={"optimizer": optimizers})
    assert [level.name for level in study.levels] == [
        "0.1 with SGD with momentum 0.9", "0.01 with SGD with momentum 0.9", "0.001 with Adam",
    ]  # fmt: skip
    trained = [study.training_of(level) for level in study.levels]
    assert [(training.optimizer.name, training.learning_rate) for training in trained] == [
        ("sgd", 0.1),
        ("sgd", 0.01),
        ("adam", 0.001),
    ]
    assert trained[0].optimizer == SGD(momentum=0.9)


def test_a_study_without_a_title_asks_about_what_varies() -> None:
    weight_decay = {"optimizer": {"weight_decay": [0.0, 0.1]}}
    rates = {"optimizer": [{"name": "sgd", "learning_rate": [0.1]}, {"name": "adam", "learning_rate": [0.01]}]}
    titles = [parse(vary=vary).title for vary in (VARY, weight_decay, {"learning_rate": [0.1], **weight_decay}, rates)]
    assert titles == [
        f"Impact of the {what}" for what in ("learning rate", "weight decay", "weight decay", "learning rate")
    ]
    assert parse(vary=weight_decay, title="Mine").title == "Mine"


def test_flat_keys_of_the_first_version_are_read_with_the_new_form() -> None:
    from lrreport.study.legacy import upgrade_settings

    old = {
        "vary": {"learning_rate": [0.1], "seed": [0, 1]},
        "fixed": {"optimizer": "sgd", "momentum": 0.9, "hidden_sizes": [32], "schedule": "step", "step_epochs": 2},
        "margins": {"accuracy": 0.01},
    }
    upgraded, notes = upgrade_settings(old)
    assert notes == [
        "vary.seed is now the key seeds = [0, 1, 2] above the tables",
        "margins.accuracy is now margin in a table [metrics.accuracy]",
        'fixed.momentum is now optimizer = { name = "sgd", momentum = 0.9 }',
        'fixed.hidden_sizes is now model = { name = "mlp", hidden_sizes = [32] }',
        'fixed.step_epochs is now schedule = { name = "step", epochs = 2 }',
    ]
    study = parse(**upgraded)
    training = study.training_of(study.levels[0])
    assert (training.optimizer, training.model) == (SGD(momentum=0.9), MLP(hidden_sizes=(32,)))
    assert study.seeds.initial == (0, 1)
    metric = study.find_metric("val_accuracy")
    assert metric is not None
    assert metric.margin == 0.01
    assert "margins" in old  # the argument is unchanged


def test_an_old_option_counts_for_the_values_that_have_it() -> None:
    from lrreport.study.legacy import upgrade_settings

    vary = {"learning_rate": [0.1], "optimizer": ["adam", "sgd", "rmsprop"]}
    upgraded, _ = upgrade_settings({"vary": vary, "fixed": {"momentum": 0.9, "nesterov": True}})
    study = parse(**upgraded)
    arguments = [study.training_of(level).optimizer.arguments for level in study.levels]
    assert arguments == [{}, {"momentum": 0.9, "nesterov": True}, {"momentum": 0.9}]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vary": {"learning_rate": [0]}}, "vary.learning_rate = 0: input should be greater than 0; give a positive number, such as 0.001"),
        ({"vary": {"learning_rate": [float("nan")]}}, "vary.learning_rate = nan: input should be a finite number; give a positive number, such as 0.001"),
        ({"vary": {"learning_rate": [True]}}, "vary.learning_rate = True: input should be a valid number; give a positive number, such as 0.001"),
        ({"vary": {"learning_rate": [0.1, 0.1]}}, "vary.learning_rate = [0.1, 0.1]: 0.1 appears twice"),
        ({"vary": {"learning_rate": []}}, "vary.learning_rate = []: it is empty"),
        ({"vary": {"learning_rate": 0.1}}, "vary.learning_rate = 0.1: it should be a list"),
        ({"vary": VARY, "fixed": {"epochs": 0}}, "fixed.epochs = 0: input should be greater than or equal to 1; give a whole number from 1 on, such as 5"),
        ({"vary": VARY, "fixed": {"epochz": 1}}, "unknown key fixed.epochz; did you mean epochs?"),
        ({"vary": VARY, "range_test": {"lowest": 1.0, "highest": 0.1}}, "range_test.highest = 0.1: it must be above the lowest rate; give a number above the lowest rate, such as 10.0"),
        ({"vary": VARY, "colour": 1}, "unknown key colour; the keys here are name, title, author, note, vary, seeds, fixed, decide, metrics, producer, import, range_test, published, figures"),
        ({"vary": VARY, "name": "runs"}, "name = 'runs': 'runs' is reserved by lrreport; use letters, digits, '.', '_', '+' and '-' (not 'runs' or 'reference')"),
        ({"vary": VARY, "name": "my study"}, "name = 'my study': must start with a letter or digit and use only letters, digits, . _ + - (at most 81); use letters, digits, '.', '_', '+' and '-' (not 'runs' or 'reference')"),
        ({"vary": {"batch_size": [0, 1]}}, "vary.batch_size = 0: input should be greater than or equal to 1; give a whole number from 1 on, such as 64"),
        ({"vary": VARY | {"batchsize": [1, 2]}}, "unknown key vary.batchsize; did you mean batch_size?"),
        ({"vary": {"learning_rate": [1.0, 0.1], "batch_size": [1, 2], "epochs": [1, 2]}}, "vary.epochs = [1, 2]: learning_rate and batch_size vary already; leave out a factor"),
        ({"vary": VARY | {"optimizer": ["adam", "sdg"]}}, 'vary.optimizer = \'sdg\': there is no such optimizer (did you mean \'sgd\'?); give "adam", "adamw", "sgd" or "rmsprop", or your own as "module:function"'),
        ({"vary": VARY | {"batch_size": [1, 2]}, "fixed": {"batch_size": 128}}, "fixed.batch_size = 128: the study varies it, so leave it out of [fixed]"),
        ({"vary": VARY | {"optimizer.momentum": [0.0, 0.9]}}, "unknown key vary.optimizer.momentum; the keys here are weight_decay, name, betas, eps"),
        ({"vary": VARY | {"dataset": ["mnist", "kmnist"]}}, "vary.dataset = ['mnist', 'kmnist']: runs that differ in it cannot be compared; put it into [fixed]"),
        ({"vary": VARY, "fixed": {"optimizer": {"name": "sgd", "betas": [0.1, 0.2]}}}, "unknown key fixed.optimizer.betas; the keys here are weight_decay, name, momentum, nesterov"),
        ({"vary": VARY, "fixed": {"optimizer": {"momentum": 0.9}}}, 'fixed.optimizer = {\'momentum\': 0.9}: name is missing; add name = "…"; give "adam", "adamw", "sgd" or "rmsprop", or your own as "module:function"'),
        ({"vary": VARY, "fixed": {"dataset": "Fashion-MNIST"}}, 'fixed.dataset = \'Fashion-MNIST\': there is no such dataset (did you mean \'fashion_mnist\'?); give "fashion_mnist", "mnist", "kmnist", "qmnist", "cifar10" or "sample", or your own as "module:function"'),
        ({"vary": VARY, "fixed": {"schedule": "OneCycle"}}, 'fixed.schedule = \'OneCycle\': there is no such schedule (did you mean \'one_cycle\'?); give "constant", "cosine", "one_cycle", "step" or "linear_warmup", or your own as "module:function"'),
        ({"vary": VARY, "fixed": {"schedule": 5}}, 'fixed.schedule = 5: it should be a text or a table; give "constant", "cosine", "one_cycle", "step" or "linear_warmup", or your own as "module:function"'),
        ({"vary": VARY, "fixed": {"model": "mine.py:make"}}, 'fixed.model = \'mine.py:make\': not of the form module:function, with a dot between package and module, and without .py; give "mlp", or your own as "module:function"'),
        ({"vary": VARY, "fixed": {"schedule": {"name": "linear_warmup", "epochs": 5.5}}}, "fixed.schedule = {'name': 'linear_warmup', 'epochs': 5.5}: training ends after 5, before the warm-up does; make that shorter"),
        ({"vary": VARY, "fixed": {"schedule": {"name": "step", "epochs": 5}}}, "fixed.schedule.epochs = 5: training ends after 5, so the rate would never fall"),
        ({"vary": {"epochs": [2, 9]}, "fixed": {"schedule": {"name": "step", "epochs": 5}}}, "fixed.schedule.epochs = 5: training ends after 2, so the rate would never fall"),
        ({"vary": VARY, "seeds": []}, "seeds = []: it is empty; give a list such as [0, 1, 2], or first = 5 and most = 20"),
        ({"vary": VARY, "seeds": [1, 1]}, "seeds.listed = (1, 1): 1 appears twice"),
        ({"vary": VARY, "seeds": {"first": 5, "most": 3}}, "seeds.most = 3: it is below the 5 that every level begins with"),
        ({"vary": VARY, "decide": {"at": "first"}}, "decide.at = 'first': no such point; give \"last\", \"end\", \"best of val_loss\", or a point such as 5"),
        ({"vary": VARY, "decide": {"metric": "val_acuracy"}}, f'decide = \'val_acuracy\': there is no such metric; give a quantity of {", ".join(QUANTITIES)} after train_, final_train_, val_, test_, or declare it as [metrics.val_acuracy] with better = "higher"'),
        ({"vary": VARY, "metrics": {"bleu": {"margin": 0.1}}}, 'metrics.bleu is not built in; set better = "higher" or "lower"'),
        ({"vary": VARY, "producer": {"paired": True}}, "producer.notebook = None: give either notebook or command"),
        ({"vary": VARY, "published": {"title": "t", "result": [{"learning_rate": 0.1, "loss": 1}]}}, "published.result: the study has no level learning_rate = 0.1, loss = 1; it has 0.1"),
        ({"vary": VARY, "published": {"title": "t", "result": [{"learning_rate": 0.2, "test_loss": 1}]}}, "published.result: the study has no level learning_rate = 0.2; it has 0.1"),
        ({"vary": VARY, "title": "two\nlines"}, "title = 'two\\nlines': it has a line break or another character that cannot be printed; give a line of text"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_with_place_value_and_remedy(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(LrreportError) as error:
        parse(**settings)
    assert str(error.value) == f"my.toml: {message}"


def test_changed_settings_get_a_name_of_their_own_and_more_seeds_do_not() -> None:
    study = load_study("studies/quick.toml")
    assert study.with_changes() == study
    longer = study.with_changes(epochs=7)
    assert longer.training_of(longer.levels[0]).epochs == 7
    assert longer.name.startswith("quick-")
    assert longer.name != study.with_changes(epochs=8).name
    assert study.with_changes(epochs=7, name="mine").name == "mine"
    more = study.with_changes(seeds=[0, 1, 2, 3, 4, 5])
    assert (more.name, len(more.seeds.initial)) == ("quick", 6)
    with pytest.raises(LrreportError, match="command line: fixed.epochs = 0: "):
        study.with_changes(epochs=0)


def test_what_varies_is_not_replaced_from_the_command_line() -> None:
    study = parse(vary={"epochs": [1, 2]})
    with pytest.raises(LrreportError, match="^command line: epochs varies in this study; change it in its file$"):
        study.with_changes(epochs=3)


def test_a_study_as_plain_data_is_the_same_study() -> None:
    for name in ("fashion_mnist", "batch_size", "wide"):
        study = load_study(f"studies/{name}.toml")
        again = parse_study(study.model_dump(mode="json", by_alias=True, exclude_none=True), "again")
        assert (again.levels, again.digest()) == (study.levels, study.digest())


def test_lists_are_values_of_a_factor() -> None:
    study = parse(vary={"learning_rate": [0.1, 0.2], "hidden_sizes": [[], [64], [128, 64]]})
    assert list(study.factors[1].values) == [(), (64,), (128, 64)]
    assert [study.training_of(level).model.hidden_sizes for level in study.levels[::2]] == [(), (64,), (128, 64)]


def test_one_range_test_is_enough_where_the_second_factor_changes_nothing_in_it() -> None:
    vary = {"learning_rate": [0.1, 0.2]}
    assert list(parse(vary=vary | {"epochs": [1, 2]}, range_test={}).range_setups()) == [""]
    assert list(parse(vary=vary | {"batch_size": [1, 2]}, range_test={}).range_setups()) == [
        "batch size 1", "batch size 2",
    ]  # fmt: skip


def test_a_metric_is_built_in_changed_or_declared() -> None:
    declared = {
        "val_accuracy": {"margin": 0.02},
        "perplexity": {"better": "lower", "digits": 2},
        "wer": {"better": "lower"},
    }
    study = parse(vary=VARY, metrics=declared, decide={"metric": "val_perplexity"})
    accuracy, perplexity, wer = (study.find_metric(name) for name in ("val_accuracy", "val_perplexity", "wer"))
    assert accuracy is not None
    assert perplexity is not None
    assert wer is not None
    assert (accuracy.margin, accuracy.label) == (0.02, "validation accuracy")
    assert (perplexity.label, perplexity.sign, perplexity.split) == ("validation perplexity", -1, "validation")
    assert (wer.name, wer.split, wer.margin) == ("wer", "validation", None)
    assert study.find_metric("val_bleu") is None
    own_loss = parse(vary=VARY, fixed={"loss": "mine:loss"}).find_metric("val_loss")
    assert own_loss is not None
    assert (own_loss.unit, own_loss.margin) == ("", None)


def test_settings_of_a_producer_of_the_user_are_free() -> None:
    study = parse(vary={"lr": [0.1, 0.2]}, fixed={"depth": 3}, producer={"command": "python train.py {lr} {seed}"},
                  decide={"metric": "val_f1"})  # fmt: skip
    assert study.settings_of(study.levels[1]) == {"depth": 3, "lr": 0.2}
    assert not study.has_own_loop


@pytest.mark.parametrize("fixed", [{"validation": "none"}, {"validation_size": 0}])
def test_without_validation_examples_nothing_is_chosen(fixed: dict[str, Any]) -> None:
    study = parse(vary=VARY, fixed=fixed)
    assert (study.decide.metric, study.decide.prefer) == ("test_accuracy", "none")
    [level] = study.levels
    assert study.settings_of(level)["validation_size"] == 0
    assert "validation" not in study.settings_of(level)
    assert study.with_changes(seeds=[0, 1]).decide == study.decide
    assert parse(vary=VARY).decide.prefer == "mean"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"decide": {"metric": "val_loss"}}, "decide.metric = 'val_loss': the study holds out no validation examples"),
        (
            {"decide": {"at": "best of val_loss"}},
            "decide.at = 'best of val_loss': the study holds out no validation examples",
        ),
    ],
)
def test_without_validation_examples_none_can_decide(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(LrreportError, match=message):
        parse(vary=VARY, fixed={"validation": "none"}, **settings)


@pytest.mark.parametrize(
    ("fixed", "message"),
    [
        (
            {"validation": 500},
            'fixed.validation = 500: give "none", or how many examples to hold out as validation_size',
        ),
        (
            {"validation": "none", "validation_size": 500},
            'fixed.validation = .none.: "none" holds out nothing; leave validation_size out',
        ),
    ],
)
def test_validation_is_none_or_a_size(fixed: dict[str, Any], message: str) -> None:
    with pytest.raises(LrreportError, match=message):
        parse(vary=VARY, fixed=fixed)


def test_levels_may_have_labels() -> None:
    models = [
        {"name": "bn:make", "width": 8, "label": "augmented"},
        {"name": "bn:make", "width": 8, "noise": 0.1},
        "mlp",
    ]
    study = parse(vary={"model": models, "learning_rate": [0.1]}, seeds=[0])
    assert [level.name for level in study.levels] == ["augmented", "bn:make with width 8 and noise 0.1", "MLP"]
    assert study.settings_of(study.levels[0])["model"] == {"name": "bn:make", "width": 8}
    assert study.with_changes(seeds=[1]).levels == study.levels
    alone = parse(vary={"model": [{"name": "bn:make", "label": "augmented"}]}, seeds=[0])
    assert alone.settings_of(alone.levels[0])["model"] == {"name": "bn:make"}


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (("a", "a"), ": 'a' appears twice"),
        ((1, "two"), ": label = 1: give a text"),
        (("", "two"), ": label = '': give a text"),
    ],
)
def test_labels_are_texts_that_differ(labels: tuple[Any, Any], message: str) -> None:
    models = [
        {"name": "mlp", "hidden_sizes": [size], "label": label} for size, label in zip((8, 16), labels, strict=True)
    ]
    with pytest.raises(LrreportError, match=message):
        parse(vary={"model": models})


def test_many_seeds_and_rates_are_read_in_a_moment() -> None:
    started = time.process_time()
    assert len(parse(vary=VARY, seeds=list(range(40_000))).seeds.initial) == 40_000
    rates = [1 / (number + 3) for number in range(2000)]  # of 16 digits each
    assert len({level.name for level in parse(vary={"learning_rate": rates}).levels}) == 2000
    assert time.process_time() - started < 3  # half a second; each was quadratic
