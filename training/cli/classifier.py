"""`training classifier --to FILE`: train the digit classifier whose features the evaluation compares."""

import argparse

from training.cli.arguments import Commands, add_threads, at_least_1, path, seed
from training.cli.output_file import CLASSIFIER, check_output_file


def add_parser(commands: Commands) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "classifier",
        help="train the digit classifier that `evaluate` uses",
        description="Train the digit classifier on MNIST. `evaluate` compares samples and real images in its features.",
    )
    parser.set_defaults(run_command=run)
    parser.add_argument("--epochs", metavar="N", type=at_least_1, default=20, help="passes over MNIST (default: 20)")
    parser.add_argument(
        "--seed",
        metavar="N",
        type=seed,
        default=0,
        help="seed of the weights and of the order of the images, 0 to 2**53 - 1 (default: 0)",
    )
    add_threads(parser)
    parser.add_argument(
        "--to", metavar="FILE", type=path, required=True, help="the safetensors file to write (required)"
    )


def run(options: argparse.Namespace) -> None:
    """Train the classifier on MNIST's training images, and write it with its accuracy on the test images."""
    import numpy as np
    import torch

    from models.images import channels_first
    from training.data.mnist import read_mnist, read_mnist_labels
    from training.evaluation.classifier import accuracy, train_classifier, write_classifier

    check_output_file("--to", options.to, CLASSIFIER)
    torch.set_num_threads(options.threads or torch.get_num_threads())
    (train, test), labels = map(channels_first, read_mnist()), read_mnist_labels()
    train_labels, test_labels = (torch.from_numpy(of_set.astype(np.int64)) for of_set in labels)
    network = train_classifier(train, train_labels, epochs=options.epochs, seed=options.seed, say=print)
    test_accuracy = accuracy(network, test, test_labels)
    write_classifier(options.to, network, test_accuracy=test_accuracy, seed=options.seed, epochs=options.epochs)
    print(f"accuracy on the test images: {test_accuracy:.2%}; wrote {options.to}")
