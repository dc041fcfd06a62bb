"""The command line: what it forwards, and one line with status 2 for what it cannot use."""

import subprocess
import sys
from pathlib import Path

import pytest

from lrreport.cli import main, make_parser, read_study


def read(*arguments: str) -> object:
    return read_study(make_parser().parse_args(["report", *arguments]))


def test_settings_replace_those_of_the_file() -> None:
    study = read_study(
        make_parser().parse_args(
            ["report", "studies/quick.toml", "--learning-rates", "0.1, 0.01", "1e-3", "--seeds", "0 1", "--epochs", "2"]
        )
    )
    assert study.vary.learning_rate == (0.1, 0.01, 0.001)
    assert study.vary.seed == (0, 1)
    assert study.fixed.epochs == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--learning-rates", "0"], "command line: vary.learning_rate = 0.0: input should be greater than 0; give distinct positive learning rates, such as [0.001, 0.0001]"),
        (["--learning-rates", "-1"], "command line: vary.learning_rate = -1.0: input should be greater than 0; give distinct positive learning rates, such as [0.001, 0.0001]"),
        (["--learning-rates", "nan"], "command line: vary.learning_rate = nan: input should be a finite number; give distinct positive learning rates, such as [0.001, 0.0001]"),
        (["--learning-rates", "abc"], "--learning-rates: 'abc' is not a number, such as 0.001"),
        (["--learning-rates", "0.1 0.1"], "command line: vary.learning_rate = [0.1, 0.1]: 0.1 appears twice; give distinct positive learning rates, such as [0.001, 0.0001]"),
        (["--epochs", "0"], "command line: fixed.epochs = 0: input should be greater than or equal to 1; give a whole number from 1 on, such as 5"),
        (["--epochs", "2.5"], "--epochs: '2.5' is not a whole number, such as 5"),
        (["--device", "tpu"], "command line: fixed.device = 'tpu': there is no such device (did you mean 'cpu'?); give \"auto\", \"cpu\" or \"cuda\""),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_starts_nothing(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["report", "studies/quick.toml", "--outputs", str(tmp_path / "outputs"), *arguments])
    assert (status, capsys.readouterr().err) == (2, f"lrreport: {message}\n")
    assert not (tmp_path / "outputs").exists()


def test_a_published_claim_that_does_not_exist_starts_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.toml"
    claim = '[published]\ntitle="t"\n[[published.claim]]\nsays="so"\nclaim="nicest"\n'
    path.write_text(f'[vary]\nlearning_rate=[0.1]\n[fixed]\ndataset="sample"\nvalidation_size=500\n{claim}')
    assert main(["report", str(path), "--outputs", str(tmp_path / "outputs")]) == 2
    assert "published claim 'so': no claim 'nicest'; the claims are" in capsys.readouterr().err
    assert not (tmp_path / "outputs").exists()


def test_help_names_every_command() -> None:
    text = subprocess.check_output([sys.executable, "-m", "lrreport.cli", "--help"], text=True)
    assert all(f" {name} " in text for name in ("report", "status", "data", "notebooks"))


def test_help_and_status_import_nothing_heavy() -> None:
    code = (
        "import sys; from lrreport.cli import main; main(['status', 'studies/quick.toml', '--outputs', '/nonexistent']);"
        "print(sorted({'torch', 'pandas', 'scipy', 'matplotlib', 'papermill', 'nbconvert', 'distributed', 'dask'} & set(sys.modules)))"
    )
    printed = subprocess.check_output([sys.executable, "-c", code], text=True).splitlines()
    assert printed == ["0.01       missing", "0.001      missing", "0.0001     missing", "[]"]
