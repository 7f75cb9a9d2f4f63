"""LeNet-5 learns handwritten digits while refconv performs every convolution of the training, backward pass included.

    python examples/lenet_digits.py                 train, and demand 97 % of digits never seen
    python examples/lenet_digits.py --steps 600     train longer
    python examples/lenet_digits.py --short         a minute's worth: the loss has to fall, and the convolutions of the
                                                    first steps have to agree with torch's in float64

The model is ordinary torch code that knows nothing of refconv; the one line that matters is ``with reference_mode():``.
The data are scikit-learn's 1797 digits of 8x8 pixels, enlarged to the 32x32 that LeNet-5 was made for.

Needs torch and scikit-learn: pip install refconv[examples]
"""

import argparse
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

from refconv.testing import Claim, conv_bound
from refconv.torch import reference_mode

BATCH = 64
HELD_OUT = 360
CHECKED_STEPS = 3
SHORT_STEPS = 40


def lenet5():
    """The layers of LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition",
    Proc. IEEE 86 (1998) 2278-2324, section II.B, with today's ReLU and max pooling."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 120, 5),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )


def digits(generator):
    """Images, shape (n, 1, 32, 32), with values from -1 to 1, and labels, in a random order."""
    data = load_digits()
    images = torch.from_numpy(data.images).float().unsqueeze(1) / 8 - 1
    images = F.interpolate(images, size=(32, 32), mode="bilinear", align_corners=False)
    order = torch.randperm(len(images), generator=generator)
    return images[order], torch.from_numpy(data.target)[order]


def train(model, images, labels, steps, generator, after_step):
    """Take optimisation steps, each on other images, and return the losses."""
    optimizer = torch.optim.Adam(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=steps)
    losses = []
    for step in range(steps):
        chosen = torch.randint(len(images), (BATCH,), generator=generator)
        # There are few images, so they are moved about by up to two pixels.
        down, right = torch.randint(-2, 3, (2,), generator=generator).tolist()
        moved = images[chosen].roll((down, right), (2, 3))
        optimizer.zero_grad()
        with reference_mode():
            loss = F.cross_entropy(model(moved), labels[chosen])
            loss.backward()
        losses.append(loss.item())
        after_step(step, losses)
        optimizer.step()
        schedule.step()
    return losses


def accuracy(model, images, labels):
    """The share of images that the model labels correctly."""
    with torch.no_grad(), reference_mode():
        return (model(images).argmax(1) == labels).float().mean().item()


# ---- Do the convolutions of a step agree with torch's in float64? ----


class Convolutions:
    """What went into the convolutions of a model in its last step, and what came out, forwards and backwards."""

    def __init__(self, model):
        self.calls = {}
        for name, layer in model.named_modules():
            if isinstance(layer, nn.Conv2d):
                layer.register_forward_hook(lambda layer, inputs, y, name=name: self._record(name, layer, *inputs, y))

    def _record(self, name, layer, x, y):
        call = self.calls[name] = {"layer": layer, "x": x.detach(), "y": y.detach()}
        if y.requires_grad:
            y.register_hook(lambda gradient: call.update(grad_y=gradient))
        if x.requires_grad:
            x.register_hook(lambda gradient: call.update(grad_x=gradient))

    def largest_share(self):
        """The largest difference from torch in float64, as a share of what rounding can explain: at most 1, or the
        computation is wrong."""
        return max(share for call in self.calls.values() for share in shares(**call))


def shares(layer, x, y, grad_y, grad_x=None):
    """For the result of a layer and for each gradient, the largest difference from torch as a share of its bound.

    The layers of LeNet-5 have stride 1 and no padding. So each gradient is a convolution again, for which there is a
    bound: that of the input pads and slides the kernel the other way; that of the weight slides grad_y over x and sums
    over the images instead of the channels.
    """
    w, b = layer.weight.detach(), layer.bias.detach()
    x64, w64, b64, grad_y64 = (tensor.double() for tensor in (x, w, b, grad_y))
    yield share_of_bound(y, F.conv2d(x64, w64, b64), x, w, b)
    in_torch = torch.nn.grad.conv2d_weight(x64, w.shape, grad_y64)
    swapped = x.transpose(0, 1), grad_y.transpose(0, 1)
    yield share_of_bound(layer.weight.grad.transpose(0, 1), in_torch.transpose(0, 1), *swapped)
    if grad_x is not None:
        in_torch = torch.nn.grad.conv2d_input(x.shape, w64, grad_y64)
        turned = w.flip(2, 3).transpose(0, 1)
        yield share_of_bound(grad_x, in_torch, grad_y, turned, padding=w.shape[-1] - 1)


def share_of_bound(result, in_torch, *operands, padding=0):
    """The largest difference of two results of a convolution, as a share of the bound for each element.

    Both differ from the exact sums: refconv's by a rounding to float32, torch's by all the roundings of a sum in
    float64. `conv_bound` says how much each can be.
    """
    operands = [operand.numpy() for operand in operands]
    allowed = sum(
        conv_bound(*operands, padding=padding, claim=Claim(accumulate="float64", out=output))
        for output in ("float32", "float64")
    )
    difference = np.abs(result.double().numpy() - in_torch.numpy())
    return np.divide(difference, allowed, where=difference > 0, out=np.zeros_like(difference)).max()


# ---- The command ----


def main():
    """Train, report, and return an exit status: 0 if all that was demanded came true."""
    parser = argparse.ArgumentParser(description="Train LeNet-5 on digits with exact convolutions.")
    parser.add_argument("--steps", type=int, help=f"optimisation steps of {BATCH} digits (default 300)")
    parser.add_argument("--short", action="store_true", help=f"{SHORT_STEPS} steps, the first {CHECKED_STEPS} checked")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    steps = options.steps if options.steps is not None else SHORT_STEPS if options.short else 300
    if steps < 1:
        parser.error("--steps must be at least 1")

    torch.manual_seed(options.seed)
    generator = torch.Generator().manual_seed(options.seed)
    images, labels = digits(generator)
    held_out = images[:HELD_OUT], labels[:HELD_OUT]
    model = lenet5()
    convolutions = Convolutions(model)
    agreement = []
    start = time.perf_counter()

    def report(step, losses):
        if options.short and step < CHECKED_STEPS:
            agreement.append(convolutions.largest_share())
            print(f"step {step + 1}: convolutions differ from torch's by {agreement[-1]:.2f} of the bound", flush=True)
        if (step + 1) % max(steps // 10, 1) == 0:
            mean = np.mean(losses[-10:])
            seconds = time.perf_counter() - start
            print(f"step {step + 1:4} of {steps}   loss {mean:.3f}   {seconds:5.1f} s", flush=True)

    losses = train(model, images[HELD_OUT:], labels[HELD_OUT:], steps, generator, report)
    share_correct = accuracy(model, *held_out)
    print(f"{share_correct:.1%} of {HELD_OUT} digits never seen, after {time.perf_counter() - start:.0f} s")

    if options.short:
        demands = {
            "the convolutions agree with torch's in float64": max(agreement) <= 1,
            "the loss fell by half": np.mean(losses[-5:]) < losses[0] / 2,
        }
    else:
        demands = {"97 % are labelled correctly": share_correct >= 0.97}
    for demand, met in demands.items():
        print(f"{'ok  ' if met else 'FAIL'} {demand}")
    return 0 if all(demands.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
