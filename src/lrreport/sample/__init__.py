"""2,000 training and 1,000 test images of Fashion-MNIST, for quick studies and tests without a network."""
