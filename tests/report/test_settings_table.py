"""The table of settings."""

from lrreport.report.tables.settings import tabulate_settings
from lrreport.study.study import parse_study


def test_settings_have_names_and_values_that_can_be_read() -> None:
    fixed = {
        "dataset": "sample",
        "validation_size": 500,
        "input_range": [0, 1],
        "early_stopping": {"metric": "val_loss", "patience": 2},
    }
    study = parse_study({"name": "s", "vary": {"learning_rate": [0.1, 0.01]}, "fixed": fixed}, "test")
    rows = {row[0]: row[1:] for row in tabulate_settings(study, study.seeds.initial).rows}
    assert rows["Learning rate"] == ("0.1 and 0.01", "varied")
    assert rows["Dataset"] == ("a sample of Fashion-MNIST", "fixed")
    assert rows["Input range"] == ("0 to 1", "fixed")
    assert rows["Early stopping by"] == ("val loss", "fixed")
    assert rows["Patience of early stopping, in epochs"] == ("2", "fixed")
