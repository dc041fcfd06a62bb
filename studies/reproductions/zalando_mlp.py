"""Train scikit-learn's MLPClassifier on Fashion-MNIST as Zalando's benchmark does: python zalando_mlp.py --hidden 100.

Each pixel is standardised with its mean and spread over the training set. Everything else is the library's default of 2017:
Adam at 0.001, batches of 200, an L2 penalty of 0.0001, and a stop once the training loss has fallen by less than 0.0001
for more than two epochs in a row (later versions wait for more than ten).
"""

import argparse
import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from lrreport import log
from lrreport.training.datasets import load_dataset

parser = argparse.ArgumentParser()
parser.add_argument("--hidden", default="100", help="widths of the hidden layers, such as 100-10")
parser.add_argument("--activation", default="relu")
parser.add_argument("--patience", type=int, default=2)
parser.add_argument("--seed", type=int, default=0)
options = parser.parse_args()

data = load_dataset("fashion_mnist", "")
scaler = StandardScaler().fit(data.train_inputs.numpy().reshape(len(data.train_targets), -1))
train, test = (
    scaler.transform(inputs.numpy().reshape(len(inputs), -1)).astype("float32")
    for inputs in (data.train_inputs, data.test_inputs)
)
network = MLPClassifier(
    hidden_layer_sizes=[int(width) for width in options.hidden.split("-")],
    activation=options.activation,
    n_iter_no_change=options.patience,
    random_state=options.seed,
)
log.run(hidden=options.hidden, activation=options.activation, seed=options.seed)
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)  # 200 epochs are the library's limit
    network.fit(train, data.train_targets.numpy())
for epoch, loss in enumerate(network.loss_curve_, start=1):
    log.epoch(epoch, train_loss=loss)
log.end(
    test_accuracy=network.score(test, data.test_targets.numpy()),
    final_train_accuracy=network.score(train, data.train_targets.numpy()),
)
