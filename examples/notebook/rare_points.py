"""Points of which few are in a ring, and how well a network finds them."""

import torch


def make_points(n, seed):
    """Return points (n, 2) and their classes (n,) float32: 1 for the eighth of them that lies in a ring."""
    generator = torch.Generator().manual_seed(seed)
    labels = (torch.arange(n) % 8 == 0).float()
    radius = torch.where(labels == 1, 1.0, 3.0 * torch.rand(n, generator=generator).sqrt())
    turn = 2 * torch.pi * torch.rand(n, generator=generator)
    points = torch.stack([radius * turn.cos(), radius * turn.sin()], dim=1)
    return points + 0.05 * torch.randn(n, 2, generator=generator), labels


@torch.no_grad()
def score(network, points, labels):
    """Return the loss in nats and the F1 of class 1."""
    logits = network(points)[:, 0]
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
    predicted = (logits > 0).float()
    f1 = 2 * (predicted * labels).sum() / (predicted.sum() + labels.sum()).clamp(min=1)
    return loss.item(), f1.item()
