"""A Lightning trainer as anybody would write it; of lrreport it knows nothing."""

import argparse

import lightning
import torch
from lightning.pytorch.loggers import CSVLogger
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset


class Classifier(lightning.LightningModule):
    def __init__(self, learning_rate: float) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.network = torch.nn.Sequential(torch.nn.Linear(20, 32), torch.nn.ReLU(), torch.nn.Linear(32, 2))

    def training_step(self, batch, index):
        inputs, labels = batch
        loss = functional.cross_entropy(self.network(inputs), labels)
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch, index):
        inputs, labels = batch
        logits = self.network(inputs)
        self.log("val_loss", functional.cross_entropy(logits, labels))
        self.log("val_accuracy", (logits.argmax(1) == labels).float().mean())

    def test_step(self, batch, index):
        inputs, labels = batch
        self.log("test_accuracy", (self.network(inputs).argmax(1) == labels).float().mean())

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.hparams.learning_rate)


def load_splits() -> list[DataLoader]:
    """Return loaders of 900 training, 300 validation and 300 test examples: 20 numbers and one of two classes each."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(1500, 20, generator=generator)
    signal = inputs[:, :5].prod(1) + inputs[:, 5]
    labels = (signal + 0.3 * torch.randn(1500, generator=generator) > 0).long()
    splits = [slice(0, 900), slice(900, 1200), slice(1200, 1500)]
    return [DataLoader(TensorDataset(inputs[part], labels[part]), 32, shuffle=part.start == 0) for part in splits]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    lightning.seed_everything(options.seed, verbose=False)
    train, validation, test = load_splits()
    logger = CSVLogger("logs", name=f"{options.lr}-{options.seed}", version=0)
    trainer = lightning.Trainer(
        max_epochs=6, accelerator="cpu", logger=logger, enable_checkpointing=False, enable_progress_bar=False
    )
    model = Classifier(options.lr)
    trainer.fit(model, train, validation)
    trainer.test(model, test, verbose=False)


if __name__ == "__main__":
    main()
