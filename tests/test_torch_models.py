"""Whole models in the mode: every bit is as if their layers called refconv's functions."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch_operands import FUNCTIONS, every_dtype, numbers

import refconv.torch
from refconv.torch import reference_mode


class Classifier(torch.nn.Sequential):
    def __init__(self):
        super().__init__(
            torch.nn.Conv2d(2, 6, 3, padding=1, bias=False),
            torch.nn.BatchNorm2d(6),
            torch.nn.ReLU(),
            torch.nn.Conv2d(6, 6, 3, stride=2, groups=3),
            torch.nn.Tanh(),
            torch.nn.Conv2d(6, 4, 3, dilation=2, padding="same", padding_mode="reflect"),
            torch.nn.AdaptiveAvgPool2d(2),
            torch.nn.Flatten(),
            torch.nn.Linear(16, 3),
        )


MODELS = {
    "convolution, batch normalisation, linear": (Classifier, (2, 2, 9, 9)),
    "autoencoder": (
        lambda: torch.nn.Sequential(
            torch.nn.Conv2d(2, 4, 3, stride=2),
            torch.nn.ReLU(),
            torch.nn.ConvTranspose2d(4, 2, 3, stride=2, output_padding=1),
        ),
        (2, 2, 8, 8),
    ),
    "1-D": (
        lambda: torch.nn.Sequential(
            torch.nn.Conv1d(3, 6, 5, dilation=2), torch.nn.GELU(), torch.nn.ConvTranspose1d(6, 2, 4, groups=2)
        ),
        (2, 3, 20),
    ),
    "3-D": (
        lambda: torch.nn.Sequential(
            torch.nn.Conv3d(2, 4, 3, padding=1, padding_mode="circular"),
            torch.nn.Sigmoid(),
            torch.nn.ConvTranspose3d(4, 2, 2, stride=2),
        ),
        (1, 2, 4, 5, 4),
    ),
    "no batch": (lambda: torch.nn.Conv2d(2, 3, 3), (2, 6, 6)),
}

every_model = pytest.mark.parametrize(("make", "shape"), MODELS.values(), ids=MODELS)


def train_twice(model, x):
    """Two steps of training, and all that came out of them."""
    torch.manual_seed(0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    results = []
    for _ in range(2):
        optimizer.zero_grad()
        x = x.detach().requires_grad_()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        results += [loss.detach(), x.grad, *(parameter.grad.clone() for parameter in model.parameters())]
    return [*results, *(parameter.detach() for parameter in model.parameters())]


def with_convolutions_exchanged(monkeypatch):
    """Put refconv's functions where the layers of torch.nn look for theirs."""
    for name in FUNCTIONS:
        monkeypatch.setattr(F, name, getattr(refconv.torch, name))


@every_model
@every_dtype
def test_the_mode_gives_a_model_the_bits_of_refconvs_functions(make, shape, dtype, monkeypatch):
    torch.manual_seed(1)
    model = make().to(dtype)
    twin = copy.deepcopy(model)
    x = numbers(*shape, dtype=dtype)
    with reference_mode():
        in_the_mode = train_twice(model, x)
    with_convolutions_exchanged(monkeypatch)
    by_functions = train_twice(twin, x)
    assert all(map(torch.equal, in_the_mode, by_functions))


@every_model
def test_a_model_runs_much_as_in_torch(make, shape):
    torch.manual_seed(1)
    model = make().double()
    twin = copy.deepcopy(model)
    x = numbers(*shape, dtype=torch.float64)
    with reference_mode():
        exactly = train_twice(model, x)
    torch.testing.assert_close(train_twice(twin, x), exactly, rtol=1e-9, atol=1e-9)
