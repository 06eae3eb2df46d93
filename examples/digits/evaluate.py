"""Test the trained model on images that it has not seen."""

import json
import pickle

import numpy as np
from sklearn.metrics import accuracy_score, confusion_matrix

with open("model.pkl", "rb") as file:
    model = pickle.load(file)  # our own model, written a moment ago by train.py
data = np.load("data/test.npz")
predicted = model.predict(data["x"])
report = {"accuracy": accuracy_score(data["y"], predicted),
          "confusion": confusion_matrix(data["y"], predicted).tolist()}
with open("report.json", "w", encoding="utf-8") as file:
    json.dump(report, file, indent=1)
print(f"accuracy on the test set: {report['accuracy']:.3f}")
