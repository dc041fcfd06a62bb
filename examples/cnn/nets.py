"""A small convolutional network; a study names it as model = { name = "nets:make_cnn" }."""

from torch import nn


def make_cnn(input_shape: tuple[int, ...], n_outputs: int, channels: int = 8) -> nn.Module:
    """Return an untrained network: images (n, channels, height, width) -> logits (n, n_outputs).

    `channels` is the width of its first layer, an option that a study may set or vary.
    """
    n_colors, height, width = input_shape
    return nn.Sequential(
        nn.Conv2d(n_colors, channels, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(channels, 2 * channels, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(2 * channels * (height // 4) * (width // 4), n_outputs),
    )
