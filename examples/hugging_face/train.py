"""A Hugging Face trainer as anybody would write it; of lrreport it knows nothing."""

import argparse

import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments


class Sentences(torch.utils.data.Dataset):
    """Sentences of twelve words, numbers from 5 to 59; the label says whether one of them is 7."""

    def __init__(self, n: int, seed: int) -> None:
        self.words = torch.randint(5, 60, (n, 12), generator=torch.Generator().manual_seed(seed))
        self.words[::2, 3] = 7
        self.labels = (self.words == 7).any(1).long()

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self.words[index], "labels": self.labels[index]}


def score(prediction) -> dict[str, float]:
    return {"accuracy": float((np.argmax(prediction.predictions, 1) == prediction.label_ids).mean())}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.003)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    arguments = TrainingArguments(
        f"out/{options.lr}-{options.seed}", learning_rate=options.lr, seed=options.seed, num_train_epochs=6,
        per_device_train_batch_size=32, eval_strategy="epoch", logging_strategy="epoch", save_strategy="no",
        report_to="none", use_cpu=True, disable_tqdm=True,
    )  # fmt: skip
    torch.manual_seed(options.seed)
    sizes = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 64, "max_position_embeddings": 16}
    network = BertForSequenceClassification(BertConfig(num_hidden_layers=1, num_attention_heads=2, **sizes))
    trainer = Trainer(
        network, arguments, train_dataset=Sentences(600, 0), eval_dataset=Sentences(300, 1), compute_metrics=score
    )
    trainer.train()
    trainer.save_state()  # writes trainer_state.json


if __name__ == "__main__":
    main()
