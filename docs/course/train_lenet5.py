"""Trains the LeNet-5 of the course and writes its parameters to lenet5.npz, next to this file.

    python docs/course/train_lenet5.py

Plain torch, some ten seconds. The network is that of ``examples/lenet_digits.py``. The digits are scikit-learn's,
enlarged from 8x8 to 32x32 by repeating every pixel, so that the course can do the same with NumPy in one line; every
fifth is held out. Parameters are stored as float16, which costs no digit of the accuracy.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch.nn.functional import cross_entropy

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "examples"))

from lenet_digits import BATCH, lenet5  # noqa: E402

STEPS = 1500
LAYERS = {"conv1": 0, "conv2": 3, "conv3": 6, "linear1": 9, "linear2": 11}


def main():
    """Train, report the accuracy on the held-out digits, write the file."""
    torch.manual_seed(0)
    data = load_digits()
    images = torch.from_numpy(np.kron(data.images, np.ones((4, 4))) / 8 - 1).float().unsqueeze(1)
    labels = torch.from_numpy(data.target)
    held_out = torch.arange(len(images)) % 5 == 0
    model = lenet5()
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=STEPS)
    seen = torch.nonzero(~held_out).squeeze(1)
    for _ in range(STEPS):
        chosen = seen[torch.randint(len(seen), (BATCH,))]
        down, right = torch.randint(-3, 4, (2,)).tolist()
        optimizer.zero_grad()
        cross_entropy(model(images[chosen].roll((down, right), (2, 3))), labels[chosen]).backward()
        optimizer.step()
        schedule.step()
    model.half().float()
    with torch.no_grad():
        right = (model(images[held_out]).argmax(1) == labels[held_out]).sum().item()
    print(f"{right} of {held_out.sum().item()} digits never seen")
    arrays = {}
    for name, index in LAYERS.items():
        arrays[f"{name}_weight"] = model[index].weight.detach().numpy().astype(np.float16)
        arrays[f"{name}_bias"] = model[index].bias.detach().numpy().astype(np.float16)
    np.savez_compressed(HERE / "lenet5.npz", **arrays)


if __name__ == "__main__":
    main()
