"""Split scikit-learn's handwritten digits (1,797 images of 8 by 8) into a training and a test set."""

import argparse
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--test-share", type=float, default=0.25)
parser.add_argument("--seed", type=int, default=7)
args = parser.parse_args()

images, labels = load_digits(return_X_y=True)
train_x, test_x, train_y, test_y = train_test_split(
    images / 16.0, labels, test_size=args.test_share, random_state=args.seed, stratify=labels)
Path("data").mkdir(exist_ok=True)
np.savez("data/train.npz", x=train_x, y=train_y)
np.savez("data/test.npz", x=test_x, y=test_y)
print(f"{len(train_x)} images to train on, {len(test_x)} to test with")
