"""Train a small neural network on the digits, with its progress in W&B, MLflow and TensorBoard.

Nothing here knows of roar: this is the script as one would have it anyway.
"""

import argparse
import pickle

import mlflow
import numpy as np
import wandb
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier
from tensorboardX import SummaryWriter

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, default=12)
parser.add_argument("--lr", type=float, default=0.005)
parser.add_argument("--hidden", type=int, default=48)
args = parser.parse_args()

data = np.load("data/train.npz")
cut = len(data["x"]) * 4 // 5
train_x, train_y = data["x"][:cut], data["y"][:cut]
valid_x, valid_y = data["x"][cut:], data["y"][cut:]
model = MLPClassifier((args.hidden,), learning_rate_init=args.lr, batch_size=64, random_state=7)

mlflow.set_experiment("digits")
with (wandb.init(project="digits", config=vars(args)) as run, mlflow.start_run(),
      SummaryWriter("tensorboard") as board):
    mlflow.log_params(vars(args))
    for epoch in range(args.epochs):
        model.partial_fit(train_x, train_y, classes=range(10))
        loss = log_loss(valid_y, model.predict_proba(valid_x))
        accuracy = model.score(valid_x, valid_y)
        run.log({"loss": loss, "accuracy": accuracy}, step=epoch)
        mlflow.log_metrics({"loss": loss, "accuracy": accuracy}, step=epoch)
        board.add_scalar("loss", loss, epoch)
        print(f"epoch {epoch + 1:2}: loss {loss:.3f}, accuracy {accuracy:.3f}")

with open("model.pkl", "wb") as file:
    pickle.dump(model, file)
