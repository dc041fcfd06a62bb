"""Arguments of the command line as settings of a study."""

from lrreport.arguments import make_parser, read_study
from lrreport.study.study import Study


def read(*arguments: str) -> Study:
    return read_study(make_parser().parse_args(["report", "studies/quick.toml", *arguments]))


def test_settings_replace_those_of_the_file() -> None:
    study = read("--learning-rates", "0.1, 0.01", "1e-3", "--seeds", "0 1", "--epochs", "2")
    assert [level.values["learning_rate"] for level in study.levels] == [0.1, 0.01, 0.001]
    assert study.seeds.initial == (0, 1)
    assert study.training_of(study.levels[0]).epochs == 2


def test_seeds_are_numbers_or_ranges() -> None:
    assert read("--seeds", "0-3", "7,9").seeds.initial == (0, 1, 2, 3, 7, 9)
    growing = read("--most-seeds", "20").seeds
    assert (growing.initial, growing.n_most) == ((0, 1, 2, 3, 4), 20)
    listed = read("--seeds", "4 6", "--most-seeds", "8").seeds
    assert (listed.initial, listed.extend(4)) == ((4, 6), (4, 6, 0, 1))
