"""Per-example gradients by a loop over examples."""

import torch
import torch.nn.functional as F


def loss_of(model, one, target):
    return F.cross_entropy(model(one), target, reduction="sum")


def gradients(model, inputs, targets, loss=loss_of):
    """Return [batch, *shape] per parameter that is not frozen: each example runs alone."""
    model.eval()
    wanted = {name: each for name, each in model.named_parameters() if each.requires_grad}
    found = {name: [] for name in wanted}
    for place in range(len(inputs)):
        one = slice(place, place + 1)
        value = loss(model, inputs[one].clone(), targets[one])
        for name, gradient in zip(
            wanted,
            torch.autograd.grad(value, list(wanted.values()), allow_unused=True),
            strict=True,
        ):
            missing = torch.zeros_like(wanted[name])
            found[name].append(missing if gradient is None else gradient.detach())
    return {name: torch.stack(each) for name, each in found.items()}


def squared_norms(model, inputs, targets, loss=loss_of):
    """Return [batch] per parameter."""
    found = gradients(model, inputs, targets, loss)
    return {name: each.reshape(len(each), -1).square().sum(1) for name, each in found.items()}


def gram(model, inputs, targets, loss=loss_of):
    """Return [batch, batch] per parameter."""
    found = gradients(model, inputs, targets, loss)
    return {
        name: each.reshape(len(each), -1) @ each.reshape(len(each), -1).T
        for name, each in found.items()
    }
