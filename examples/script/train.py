"""Train a small network on two spirals with plain numpy: python train.py --lr 0.1 --seed 0."""

import argparse

import numpy as np

from lrreport import log


def make_spirals(n, seed):
    """Return points (n, 2) on two spirals with noise, and which of the two each is on (n,)."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    turn = 6 * np.sqrt(rng.uniform(0.05, 1, n)) + np.pi * labels
    points = np.stack([np.cos(turn), np.sin(turn)], axis=1) * (turn - np.pi * labels)[:, None] / 2
    return points + rng.normal(0, 0.15, points.shape), labels


def forward(weights, points):
    """Return the activations of the hidden layer (n, 32) and the probability of class 1 (n,)."""
    hidden = np.tanh(points @ weights[0] + weights[1])
    return hidden, 1 / (1 + np.exp(-(hidden @ weights[2] + weights[3])))


def score(weights, points, labels):
    """Return the loss in nats and the accuracy."""
    guesses = forward(weights, points)[1].clip(1e-7, 1 - 1e-7)
    loss = -np.log(np.where(labels == 1, guesses, 1 - guesses)).mean()
    return loss, ((guesses > 0.5) == labels).mean()


parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--epochs", type=int, default=30)
options = parser.parse_args()

train, val, test = make_spirals(600, 1), make_spirals(400, 2), make_spirals(400, 3)
rng = np.random.default_rng(options.seed)
weights = [rng.normal(0, 1, (2, 32)), np.zeros(32), rng.normal(0, 0.2, 32), np.zeros(1)]

log.run(learning_rate=options.lr, seed=options.seed)
for _ in range(options.epochs):
    for batch in np.array_split(rng.permutation(len(train[1])), 30):
        points, labels = train[0][batch], train[1][batch]
        hidden, guesses = forward(weights, points)
        error = (guesses - labels) / len(batch)
        back = np.outer(error, weights[2]) * (1 - hidden**2)
        gradients = [points.T @ back, back.sum(0), hidden.T @ error, error.sum(keepdims=True)]
        weights = [weight - options.lr * gradient for weight, gradient in zip(weights, gradients, strict=True)]
    (train_loss, _), (val_loss, val_accuracy) = score(weights, *train), score(weights, *val)
    log.epoch(train_loss=train_loss, val_loss=val_loss, val_accuracy=val_accuracy)
test_loss, test_accuracy = score(weights, *test)
log.end(test_loss=test_loss, test_accuracy=test_accuracy)
print(f"learning rate {options.lr:g}, seed {options.seed}: test accuracy {test_accuracy:.3f}")
