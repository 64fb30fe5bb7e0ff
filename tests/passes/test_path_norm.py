import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from asking import dense, randn
from oracles.geometry import paths
from planted import shaken
from surplus.base import InvalidArgument
from surplus.passes import path_norm


def matrix_of(layer, shape):
    """Return the matrix of a linear layer, column by column."""
    columns = torch.eye(math.prod(shape), dtype=torch.float64).view(-1, *shape)
    return (layer(columns) - layer(0 * columns)).flatten(1).T.detach()


def check(model, shape, layers):
    for power in (1, 2):
        with torch.no_grad():
            expected = paths(layers, power) ** (1 / power)
        found = path_norm(model, torch.zeros(3, *shape, dtype=torch.float64), power)
        assert found == pytest.approx(expected)


def test_of_dense_layers(mlp):
    layers = [(layer.weight.detach(), layer.bias) for layer in mlp if isinstance(layer, nn.Linear)]
    model = nn.Sequential(*(nn.ReLU() if isinstance(each, nn.Tanh) else each for each in mlp))
    check(model, (6,), layers)


def test_of_convolutions_pools_and_normalisations():
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2)
    second = nn.Conv2d(2, 2, 2, groups=2, stride=2)
    model = shaken(
        nn.Sequential(
            conv, norm, nn.ReLU(inplace=True), nn.MaxPool2d(2), second, nn.LeakyReLU(),
            nn.AvgPool2d(2, 1, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2),
        )
    )  # fmt: skip
    conv, norm, _, _, second, _, average, _, _, last = model
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    shift = norm.bias - norm.running_mean * scale
    # A maximum over 2 x 2 entries: paths lead from each of the four.
    total = nn.AvgPool2d(2, divisor_override=1)
    layers = [
        (matrix_of(conv, (1, 8, 8)), conv.bias.repeat_interleave(64)),
        (torch.diag(scale.repeat_interleave(64)), shift.repeat_interleave(64)),
        (matrix_of(total, (2, 8, 8)), None),
        (matrix_of(second, (2, 4, 4)), second.bias.repeat_interleave(4)),
        (matrix_of(average, (2, 2, 2)), None),
        (matrix_of(nn.AdaptiveAvgPool2d(1), (2, 3, 3)), None),
        (last.weight, last.bias),
    ]
    layers = [(matrix.detach(), bias) for matrix, bias in layers]
    check(model, (1, 8, 8), layers)


def test_overlapping_maxima_count_an_entry_once_for_each_window():
    model = nn.Sequential(nn.Linear(5, 5, bias=False), nn.MaxPool1d(3, 1, 1)).double()
    total = nn.AvgPool1d(3, 1, 1)
    layers = [(model[0].weight.detach(), None), (3 * matrix_of(total, (5,)), None)]

    class Rows(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, x):
            return self.inner(x[:, None]).flatten(1)

    layers[1] = (torch.where(layers[1][0] > 0, 1.0, 0.0).double(), None)
    check(Rows(), (5,), layers)


class Skip(nn.Module):
    """A residual block with a shortcut that loses every other entry, scales, and subtractions."""

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(4, 6)
        self.gain = nn.Parameter(torch.randn(6))

    def forward(self, x):
        shortcut = F.pad(x[:, ::2], (2, 2))
        return shortcut * 3 - torch.relu(self.fc1(x)) * self.gain / 2


def test_of_a_block_that_is_skipped():
    torch.manual_seed(0)
    model = Skip().double()
    weight, bias, gain = model.fc1.weight.detach(), model.fc1.bias.detach(), model.gain.detach()
    inner = paths([(weight, bias), (torch.diag(gain) / 2, None)], 2)
    # Two entries are carried on, each times 3.
    assert path_norm(model, torch.zeros(2, 4)) ** 2 == pytest.approx(inner + 2 * 9)


def test_shared_weights_are_on_paths_as_often_as_they_are_used():
    layer = nn.Linear(3, 3, bias=False).double()
    W = layer.weight.detach()
    check(nn.Sequential(layer, nn.ReLU(), layer), (3,), [(W, None), (W, None)])


def test_it_does_not_see_how_units_are_scaled():
    U, V = randn(5, 4), randn(3, 5, seed=1)
    scales = 0.1 + randn(5, seed=2).square()
    example = torch.zeros(1, 4)
    other = path_norm(dense(scales[:, None] * U, V / scales), example)
    assert other == pytest.approx(path_norm(dense(U, V), example))


def test_it_leaves_the_model_as_it_was():
    model = shaken(nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU(inplace=True))).train()
    before = copy.deepcopy(model.state_dict())
    path_norm(model, torch.zeros(2, 4))
    assert model.training
    assert all(torch.equal(before[name], each) for name, each in model.state_dict().items())


class Squared(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(x) * x


class Attending(Squared):
    def forward(self, x):
        y = self.fc(x)[:, None]
        return y @ y.transpose(1, 2)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (nn.Sequential(nn.Linear(4, 4), nn.Tanh()), "`tanh` is no operator through which"),
        (nn.Sequential(nn.Linear(4, 4), nn.ReLU6()), "`hardtanh` is no operator"),
        (nn.Sequential(nn.Linear(4, 4), nn.Softmax(1)), "`_softmax` is no operator"),
        (Squared(), "`mul` is no operator"),
        (Attending(), "`bmm` is no operator"),
        (nn.LSTM(4, 2), "the model returns a tuple|is no operator"),
    ],
)
def test_what_is_no_sum_over_paths_is_named(model, reason):
    with pytest.raises(InvalidArgument, match=reason):
        path_norm(model, torch.zeros(2, 4))


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (nn.MaxPool2d(2, dilation=2), "the windows of a maximum are dilated"),
        (nn.AvgPool2d(3, 2, ceil_mode=True), "an average are of different sizes"),
        (nn.AvgPool2d(3, padding=1, count_include_pad=False), "an average are of different sizes"),
        (nn.AdaptiveAvgPool2d(3), "an average are of different sizes"),
        (nn.BatchNorm2d(1, track_running_stats=False), "keeps no running statistics"),
    ],
)
def test_layers_that_are_no_weights_are_named(layer, reason):
    model = nn.Sequential(nn.Conv2d(1, 1, 1), layer)
    with pytest.raises(InvalidArgument, match=reason):
        path_norm(model, torch.zeros(1, 1, 8, 8))


def test_words_are_no_inputs():
    with pytest.raises(InvalidArgument, match="its inputs are whole numbers"):
        path_norm(nn.Embedding(3, 2), torch.tensor([[0, 1]]))
