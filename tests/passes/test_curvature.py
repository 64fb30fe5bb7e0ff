"""Curvature against closed forms, against `torch.func.hessian`, and on spectra that were planted."""

import copy
import math
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.func import functional_call

from surplus.base import InvalidArgument
from surplus.passes.curvature import (
    NotTwiceDifferentiable,
    Operator,
    gauss_newton,
    hessian,
    layer_traces,
    spectrum,
    summed_cross_entropy,
    trace,
)
from surplus.passes.curvature.spectrum import signs


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def labels(count: int, classes: int) -> Tensor:
    return torch.randint(0, classes, (count,), generator=torch.Generator().manual_seed(9))


def dense(operator: Operator) -> Tensor:
    return operator.apply(torch.eye(operator.size, dtype=operator.dtype))


def reference(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """The Hessian of the mean loss by `torch.func.hessian`, over one long vector."""
    parts = {name: each.detach() for name, each in model.named_parameters() if each.requires_grad}
    sizes = [each.numel() for each in parts.values()]

    def loss(flat: Tensor) -> Tensor:
        split = {
            name: part.view(each.shape)
            for (name, each), part in zip(parts.items(), flat.split(sizes), strict=True)
        }
        return F.cross_entropy(functional_call(model, split, (inputs,)), targets)

    return torch.func.hessian(loss)(torch.cat([each.reshape(-1) for each in parts.values()]))


def tiny() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)).double().eval()


def planted(values: Tensor, seed: int = 0) -> Operator:
    frame = torch.linalg.qr(drawn(len(values), len(values), seed=seed))[0]
    return Operator.of(frame @ torch.diag(values) @ frame.T)


SPIKES = torch.cat([torch.tensor([20.0, 12.0, 7.0]), torch.linspace(0, 1, 397)]).double()


def test_softmax_regression_has_the_closed_form_and_no_factor_of_two():
    """The mean over examples of (diag(p) - p p^T) x x^T, for the Hessian as for the Gauss-Newton matrix."""
    model = nn.Linear(4, 3, bias=False).double()
    inputs, targets = drawn(11, 4), labels(11, 3)
    expected = torch.zeros(12, 12, dtype=torch.float64)
    for x in inputs:
        p = torch.softmax(model.weight.detach() @ x, 0)
        expected += torch.kron(torch.diag(p) - torch.outer(p, p), torch.outer(x, x)) / 11
    for make in (hessian, gauss_newton):
        torch.testing.assert_close(dense(make(model, [(inputs, targets)])), expected)


def test_one_weight_and_two_classes_by_hand():
    """Outputs (w, 0) at w = 0 have p = 1/2, so the loss bends by 1/4, however many examples say so."""

    class One(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.zeros((), dtype=torch.float64))

        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([self.w * x, torch.zeros_like(x)], 1)

    for count in (1, 6):
        data = [(torch.ones(count, dtype=torch.float64), torch.zeros(count, dtype=torch.int64))]
        for make in (hessian, gauss_newton):
            assert dense(make(One(), data)).item() == pytest.approx(0.25, rel=1e-14)


def test_agrees_with_the_hessian_of_torch_eigenvalue_by_eigenvalue():
    model = tiny()
    inputs, targets = drawn(13, 5), labels(13, 3)
    expected = torch.linalg.eigvalsh(reference(model, inputs, targets))
    operator = hessian(model, [(inputs, targets)])
    found = spectrum(operator, num_probes=2, num_steps=operator.size)
    torch.testing.assert_close(found.points[0], expected, rtol=1e-5, atol=1e-10)
    torch.testing.assert_close(found.points[1], expected, rtol=1e-5, atol=1e-10)
    for each, value in zip(found.largest(operator.size), expected.flip(0), strict=True):
        assert each.lower <= value <= each.upper
    assert expected[0] < -1e-3  # so that the smallest is a truth of its own
    assert found.smallest().value == pytest.approx(float(expected[0]), rel=1e-5)


def test_gauss_newton_agrees_with_jacobians_and_has_no_negative_eigenvalue():
    model = tiny()
    inputs, targets = drawn(13, 5), labels(13, 3)
    parts = {name: each.detach() for name, each in model.named_parameters()}
    jacobians = torch.func.jacrev(lambda each: functional_call(model, each, (inputs,)))(parts)
    flat = torch.cat([each.flatten(2) for each in jacobians.values()], 2)
    expected = torch.zeros(flat.shape[2], flat.shape[2], dtype=torch.float64)
    for J, output in zip(flat, model(inputs).detach(), strict=True):
        p = torch.softmax(output, 0)
        expected += J.T @ (torch.diag(p) - torch.outer(p, p)) @ J / len(inputs)
    found = dense(gauss_newton(model, [(inputs, targets)]))
    torch.testing.assert_close(found, expected)
    assert torch.linalg.eigvalsh(found)[0] > -1e-15


@pytest.mark.parametrize("make", [hessian, gauss_newton])
@pytest.mark.parametrize("sizes", [[1] * 12, [5, 7], [11, 1]])
def test_batches_do_not_matter(make, sizes):
    model = tiny()
    inputs, targets = drawn(12, 5), labels(12, 3)
    whole = dense(make(model, [(inputs, targets)]))
    parts = list(zip(inputs.split(sizes), targets.split(sizes), strict=True))
    torch.testing.assert_close(dense(make(model, parts)), whole)


class Shared(nn.Module):
    """An embedding that is also the classifier, an attention, and a layer that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 6)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.layer = nn.Linear(6, 6)
        self.norm = nn.LayerNorm(6)
        self.head = nn.Linear(6, 7, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, words: Tensor) -> Tensor:
        x = self.embedding(words)
        x = x + self.attention(x, x, x, need_weights=False)[0]
        x = torch.tanh(self.layer(torch.tanh(self.layer(x))))
        return self.head(self.norm(x).mean(1))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 4, batch_first=True)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0][:, -1])


class Sampling(nn.Module):
    """`grid_sample` has no rule for forward mode, but can be differentiated backwards twice."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.full((1, 3, 3, 2), 0.1))
        self.conv = nn.Conv2d(1, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        grid = torch.tanh(self.shift).expand(len(x), -1, -1, -1)
        return self.conv(F.grid_sample(x, grid, align_corners=False)).mean((2, 3))


def unusual(which: str) -> tuple[nn.Module, Tensor, Tensor]:
    torch.manual_seed(5)
    if which == "shared":
        return Shared().double(), torch.randint(0, 7, (5, 4)), labels(5, 7)
    if which == "recurrent":
        return Recurrent().double(), drawn(5, 4, 3), labels(5, 3)
    if which == "encoder":
        layer = nn.TransformerEncoderLayer(6, 2, 8, batch_first=True)
        net = nn.Sequential(layer, nn.Flatten(), nn.Linear(18, 3))
        return net.double(), drawn(5, 3, 6), labels(5, 3)
    if which == "sampling":
        return Sampling().double(), drawn(5, 1, 4, 4), labels(5, 3)
    norm = nn.BatchNorm2d(2)
    norm.running_var.fill_(2.0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), norm, nn.GELU(), nn.Flatten(), nn.Linear(8, 3))
    return net.double(), drawn(5, 1, 4, 4), labels(5, 3)


UNUSUAL = ["shared", "recurrent", "encoder", "sampling", "normalised"]


@pytest.mark.filterwarnings("ignore:.*(jit.script|TF32 acceleration|batching rule)")
@pytest.mark.parametrize("which", UNUSUAL)
def test_works_on_modules_as_they_are(which):
    """Second derivatives by central differences of the gradient, which need none of the rules for them."""
    model, inputs, targets = unusual(which)
    model.eval()
    operator = hessian(model, [(inputs, targets)])
    vector = drawn(operator.size, seed=2)
    gradients = []
    for step in (1e-5, -1e-5):
        moved = copy.deepcopy(model)
        parameters = list(moved.parameters())
        flat = nn.utils.parameters_to_vector(parameters).detach()
        nn.utils.vector_to_parameters(flat + step * vector, parameters)
        loss = F.cross_entropy(moved(inputs), targets)
        gradient = torch.autograd.grad(loss, parameters)
        gradients.append(torch.cat([each.reshape(-1) for each in gradient]))
    expected = (gradients[0] - gradients[1]) / 2e-5
    torch.testing.assert_close(operator.apply(vector[None])[0], expected, rtol=1e-5, atol=1e-8)
    matrix = dense(gauss_newton(model, [(inputs, targets)]))
    torch.testing.assert_close(matrix, matrix.T)
    assert torch.linalg.eigvalsh(matrix)[0] > -1e-12


@pytest.mark.parametrize("make", [hessian, gauss_newton])
def test_backwards_twice_agrees_with_forward_over_backward(make):
    class Clamp(torch.autograd.Function):
        """In the old style, which forward mode cannot see into."""

        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.square() / 2

        @staticmethod
        def backward(ctx, passed):
            return passed * ctx.saved_tensors[0]

    class Half(nn.Module):
        def __init__(self, old: bool) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(5, 4), nn.Linear(4, 3)
            self.unused = nn.Parameter(torch.ones(2))
            self.old = old

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x)
            return self.second(Clamp.apply(x) if self.old else x.square() / 2)

    old, new = Half(True).double(), Half(False).double()
    new.load_state_dict(old.state_dict())
    data = [(drawn(7, 5), labels(7, 3)), (drawn(4, 5, seed=1), labels(4, 3))]
    torch.testing.assert_close(dense(make(old, data)), dense(make(new, data)))


class HiddenBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.square()

    @staticmethod
    @once_differentiable
    def backward(ctx, passed):
        return 2 * passed * ctx.saved_tensors[0]


class Hidden(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(HiddenBackward.apply(self.first(x)))


class Bag(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(9, 3)

    def forward(self, words: Tensor) -> Tensor:
        return self.bag(words)


@pytest.mark.parametrize("make", [hessian, gauss_newton])
def test_names_the_operator_that_cannot_be_differentiated_twice(make):
    operator = make(Bag(), [(torch.randint(0, 9, (5, 4)), labels(5, 3))])
    with pytest.raises(NotTwiceDifferentiable, match="of Bag .*`_embedding_bag_backward` twice"):
        operator.apply(torch.ones(1, operator.size))
    # Autograd reads a hidden backward pass as zero and says nothing: the asymmetry gives it away.
    operator = make(Hidden().double(), [(drawn(5, 4), labels(5, 3))])
    with pytest.raises(NotTwiceDifferentiable, match="Function` `HiddenBackward` twice"):
        dense(operator)


def test_certain_networks_keep_their_digits():
    """In single precision 1 - p of a certain class is zero; what the loss still bends is not."""
    model = nn.Linear(2, 3, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[30.0, 0.0], [2.0, 1.0], [0.0, -1.0]]))
    data = [(torch.tensor([[1.0, 0.5]]), torch.tensor([0]))]
    exact = copy.deepcopy(model).double()
    for make in (hessian, gauss_newton):
        expected = dense(make(exact, [(data[0][0].double(), data[0][1])]))
        assert 0 < expected.abs().max() < 1e-10
        found = dense(make(model, data)).double()
        torch.testing.assert_close(found / expected.abs().max(), expected / expected.abs().max())


@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 5)])
def test_the_loss_is_the_cross_entropy_of_torch(shape):
    outputs = 5 * drawn(*shape)
    targets = torch.randint(0, 4, (6, *shape[2:]))
    targets[0] = -100
    soft = torch.softmax(drawn(*shape, seed=1), 1)
    for each in (targets, soft):
        ours, theirs = outputs.clone().requires_grad_(), outputs.clone().requires_grad_()
        found = summed_cross_entropy(ours, each)
        expected = F.cross_entropy(theirs, each, reduction="sum")
        torch.testing.assert_close(found, expected)
        found.backward()
        expected.backward()
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_planted_spectrum():
    """400 eigenvalues, three of them outside: 3 x 10 products for the trace, 10 x 30 for the rest."""
    operator = planted(SPIKES)
    found = trace(operator, num_probes=10)
    assert found.total.lower <= float(SPIKES.sum()) <= found.total.upper
    assert found.total.value == pytest.approx(float(SPIKES.sum()), rel=0.03)
    square = float(SPIKES.square().sum())
    assert found.frobenius_squared.lower <= square <= found.frobenius_squared.upper
    directions = float(SPIKES.sum()) ** 2 / square
    assert found.num_directions.value == pytest.approx(directions, rel=0.06)
    spread = spectrum(operator, num_probes=10, num_steps=30)
    for each, value in zip(spread.largest(3), (20.0, 12.0, 7.0), strict=True):
        assert each.value == pytest.approx(value, rel=1e-3)
        assert each.lower <= value <= each.upper
    assert spread.largest(1)[0].upper - spread.largest(1)[0].lower < 1e-9


def test_bounds_hold_before_convergence():
    """After few steps the bounds are wide, and there is an eigenvalue in each."""
    values = torch.linspace(-1, 1, 300).double() ** 3
    operator = planted(values)
    for steps in (3, 6, 12):
        for each in spectrum(operator, num_probes=1, num_steps=steps).largest(steps):
            assert ((values >= each.lower) & (values <= each.upper)).any()
    assert each.upper - each.lower > 1e-3


def test_intervals_cover_as_often_as_they_say():
    operator = planted(torch.linspace(-1, 2, 120).double() ** 3)
    expected = float((torch.linspace(-1, 2, 120).double() ** 3).sum())
    hits = sum(
        each.lower <= expected <= each.upper
        for each in (trace(operator, num_probes=5, seed=seed).total for seed in range(300))
    )
    assert 0.90 <= hits / 300 <= 0.99


def test_the_trace_is_exact_where_the_rank_is_below_the_sketch():
    values = torch.tensor([5.0, 3.0, -2.0, 0.5] + [0.0] * 96).double()
    found = trace(planted(values), num_probes=6)
    assert found.total.value == pytest.approx(6.5, rel=1e-12)
    assert found.total.upper - found.total.lower < 1e-10
    assert found.frobenius_squared.value == pytest.approx(38.25, rel=1e-12)
    assert found.num_directions.value == pytest.approx(6.5**2 / 38.25, rel=1e-12)
    assert trace(Operator.of(torch.zeros(5, 5))).num_directions.value == 0


def test_the_parts_of_the_trace_add_up_to_it():
    model = tiny()
    operator = hessian(model, [(drawn(13, 5), labels(13, 3))])
    found = trace(operator, num_probes=4)
    assert set(found.parts) == {"0", "2"}
    assert sum(each.value for each in found.parts.values()) == pytest.approx(found.total.value)
    diagonal = dense(operator).diagonal()
    everything = trace(operator, num_probes=operator.size).parts
    assert everything["0"].value == pytest.approx(float(diagonal[:24].sum()), abs=1e-10)
    assert everything["2"].value == pytest.approx(float(diagonal[24:].sum()), abs=1e-10)


def test_layer_traces_are_those_of_the_diagonal():
    """Unbiased, with intervals that hold, and sharp where a layer is small."""
    model = nn.Sequential(tiny(), nn.Linear(3, 3)).double().eval()
    inputs, targets = drawn(20, 5), labels(20, 3)
    data = list(zip(inputs.split(4), targets.split(4), strict=True))
    diagonal = dense(gauss_newton(model, data)).diagonal()
    truth = {"0.0": diagonal[:24], "0.2": diagonal[24:39], "1": diagonal[39:]}
    draws = [layer_traces(model, data, 5, seed) for seed in range(120)]
    for layer, part in truth.items():
        expected = float(part.sum())
        found = [each[layer] for each in draws]
        assert sum(each.value for each in found) / 120 == pytest.approx(expected, rel=0.05)
        covered = sum(each.lower <= expected <= each.upper for each in found)
        assert 0.88 <= covered / 120 <= 1
        assert all(each.value > 0 for each in found)
    assert draws[0] == layer_traces(model, data, 5, 0)


def test_layer_traces_leave_out_what_is_ignored_and_weigh_soft_targets():
    model = nn.Linear(4, 3).double()
    inputs, targets = drawn(6, 4), labels(6, 3)
    targets[2:] = -100
    some = layer_traces(model, [(inputs, targets)], 1)["weight"].value
    less = layer_traces(model, [(inputs[:2], targets[:2])], 1)["weight"].value
    assert some == pytest.approx(less / 3)
    soft = torch.softmax(drawn(2, 3), 1) * 4  # each row weighs four times
    heavy = layer_traces(model, [(inputs[:2], soft)], 1)["weight"].value
    assert heavy == pytest.approx(4 * less)


def test_moments_are_those_of_the_matrix():
    """Exact for each probe for powers below twice the steps; on average over probes, the mean over eigenvalues."""
    operator = planted(SPIKES)
    few = spectrum(operator, num_probes=3, num_steps=3)
    for power in range(6):
        expected = []
        for number in range(3):
            image = probe = signs(operator, 0, "probe", number)[None]
            for _ in range(power):
                image = operator.apply(image)
            expected.append(float((probe * image).sum()) / 400)
        assert few.moment(power).value == pytest.approx(sum(expected) / 3, rel=1e-10)

    values = torch.linspace(-1, 2, 60).double()
    many = [spectrum(planted(values), 10, 3, seed) for seed in range(200)]
    truth = float((values**3).mean())
    covered = sum(each.lower <= truth <= each.upper for each in (one.moment(3) for one in many))
    assert 0.90 <= covered / 200 <= 0.99


def test_the_density_integrates_to_one_and_lies_where_the_eigenvalues_are():
    operator = planted(SPIKES)
    found = spectrum(operator, num_probes=10, num_steps=40)
    width = 0.25
    places = torch.linspace(-3, 23, 2601, dtype=torch.float64)
    values = torch.tensor([each.value for each in found.density(places, width)]).double()
    step = float(places[1] - places[0])
    assert float(values.sum() * step) == pytest.approx(1, abs=1e-9)
    mean = found.moment(1).value
    assert float((values * places).sum() * step) == pytest.approx(mean, abs=1e-9)
    second = found.moment(2).value + width**2
    assert float((values * places**2).sum() * step) == pytest.approx(second, abs=1e-8)
    gaps = (places[:, None] - SPIKES) / width
    truth = ((-gaps.square() / 2).exp() / (width * math.sqrt(2 * math.pi))).mean(1)
    assert float((values - truth).abs().sum() * step) < 0.05
    with pytest.raises(InvalidArgument, match="`width` is 0; it must be above 0"):
        found.density(places, 0.0)


def test_eigenvalues_that_repeat_come_out_with_all_steps():
    """A closed Krylov space is opened anew: the identity has its eigenvalue five times."""
    found = spectrum(Operator.of(torch.eye(5, dtype=torch.float64)), 2, 9)
    assert [each.value for each in found.largest(9)] == pytest.approx([1.0] * 5)
    assert found.moment(3).value == pytest.approx(1)
    nothing = spectrum(Operator.of(torch.zeros(3, 3)), 2, 2)
    assert nothing.largest(2)[0] == (0, 0, 0)


def test_probes_in_turn_are_the_probes_together(monkeypatch):
    operator = planted(SPIKES)
    together = spectrum(operator, num_probes=5, num_steps=6)
    monkeypatch.setattr(sys.modules[signs.__module__], "HELD", 400 * 6 * 2)
    in_turn = spectrum(operator, num_probes=5, num_steps=6)
    torch.testing.assert_close(in_turn.points, together.points)
    torch.testing.assert_close(in_turn.weights, together.weights)


def test_seeds_reproduce_and_differ():
    operator = planted(SPIKES)
    torch.manual_seed(1)
    first = trace(operator, 3, seed=4), spectrum(operator, 2, 5, seed=4).points
    torch.manual_seed(2)
    stream = torch.get_rng_state()
    second = trace(operator, 3, seed=4), spectrum(operator, 2, 5, seed=4).points
    assert torch.equal(stream, torch.get_rng_state())
    assert first[0] == second[0] and torch.equal(first[1], second[1])
    assert trace(operator, 3, seed=5).total != first[0].total


class Noting(nn.Module):
    """Counts its runs in a buffer and a list, as user code may, and has a hook's weight."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.layer = nn.Linear(4, 3)
        self.register_buffer("runs", torch.zeros(()))
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.runs += 1
        self.seen.append(x)
        return self.layer(self.norm(x))


@pytest.mark.parametrize("make", [hessian, gauss_newton])
def test_the_model_is_left_as_found(make):
    model = Noting().double()
    nn.utils.prune.l1_unstructured(model.layer, "weight", 3)
    model.train()
    model.norm.eval()
    F.cross_entropy(model(drawn(6, 4)), labels(6, 3)).backward()
    before = copy.deepcopy(model.state_dict())
    gradients = {name: each.grad.clone() for name, each in model.named_parameters()}
    weight, seen, stream = model.layer.weight, list(model.seen), torch.get_rng_state()
    inputs = drawn(6, 4)
    with torch.no_grad():
        dense(make(model, [(inputs, labels(6, 3))]))
    assert model.training and model.layer.training and not model.norm.training
    assert all(torch.equal(each, before[name]) for name, each in model.state_dict().items())
    assert all(torch.equal(each.grad, gradients[name]) for name, each in model.named_parameters())
    assert model.layer.weight is weight and len(model.seen) == len(seen)
    assert torch.equal(stream, torch.get_rng_state()) and torch.equal(inputs, drawn(6, 4))
    assert torch.backends.mha.get_fastpath_enabled()
    assert torch.backends.cuda.flash_sdp_enabled() and torch.backends.mkldnn.enabled


def test_frozen_parameters_play_no_part():
    model = tiny()
    inputs, targets = drawn(9, 5), labels(9, 3)
    whole = dense(hessian(model, [(inputs, targets)]))
    model[0].requires_grad_(False)
    operator = hessian(model, [(inputs, targets)])
    assert set(operator.parts) == {"2"}
    torch.testing.assert_close(dense(operator), whole[24:, 24:])
    model.requires_grad_(False)
    with pytest.raises(InvalidArgument, match="no parameter that can be trained"):
        hessian(model, [(inputs, targets)])


def test_says_what_is_wrong_with_data():
    model = tiny()
    vector = torch.ones(1, 39, dtype=torch.float64)
    with pytest.raises(
        InvalidArgument, match=r"outputs have shape \(4, 3\) and the targets \(4, 1\)"
    ):
        hessian(model, [(drawn(4, 5), labels(4, 3)[:, None])]).apply(vector)
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
        hessian(model, [(drawn(4, 6), labels(4, 3))]).apply(vector)
    with pytest.raises(
        InvalidArgument, match="Products with the Gauss-Newton matrix are not finite"
    ):
        gauss_newton(model, [(drawn(4, 5) * math.nan, labels(4, 3))]).apply(vector)
    with pytest.raises(InvalidArgument, match="holds no examples"):
        hessian(model, []).apply(vector)
    with pytest.raises(InvalidArgument, match="`num_steps` is 0; it must be at least 1"):
        spectrum(planted(SPIKES), num_steps=0)
    with pytest.raises(InvalidArgument, match="`num_probes` is 0; it must be at least 1"):
        trace(planted(SPIKES), num_probes=0)
