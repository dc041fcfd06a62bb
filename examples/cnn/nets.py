"""A small convolutional network; a study names it as model = "nets:make_cnn"."""

from torch import nn


def make_cnn(input_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """Return an untrained network: images (n, channels, height, width) -> logits (n, n_classes)."""
    channels, height, width = input_shape
    return nn.Sequential(
        nn.Conv2d(channels, 8, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * (height // 4) * (width // 4), n_classes),
    )
