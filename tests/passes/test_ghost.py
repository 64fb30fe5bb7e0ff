"""Per-example gradients: against running every example alone, on networks that read parameters in all sorts of ways."""

import copy

import pytest
import torch
from torch import Tensor, nn

from oracles.gradients import gradients, gram, squared_norms
from reading import ALONE, NETS, Of, made, mlp, parameter
from surplus.base import InvalidArgument
from surplus.passes.ghost import (
    Ghost,
    collecting,
    gradient_gram,
    gradient_grams,
    gradient_sample,
    products,
)
from surplus.passes.ghost import gram as gram_file
from surplus.passes.ghost import squared_norms as norms_of
from surplus.passes.ghost.alone import OfOne
from surplus.passes.ghost.layout import Layout, codes, layouts
from zoo import ZOO, build

EVERY = pytest.mark.parametrize("name", NETS)
FIRST, REST = slice(0, 3), slice(3, 7)


def halves(inputs, targets):
    return [(inputs[FIRST], targets[FIRST]), (inputs[REST], targets[REST])]


def close(found: Tensor, wanted: Tensor) -> None:
    """Agreement to 1e-9 of the largest value."""
    assert found.shape == wanted.shape
    scale = float(wanted.abs().max())
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-9 * scale + 1e-15)


@EVERY
def test_norms_are_those_of_examples_that_run_alone(name):
    model, inputs, targets = made(name)
    found = norms_of(model, inputs, targets)
    wanted = squared_norms(model, inputs, targets)
    assert found.keys() == wanted.keys()
    for each, values in wanted.items():
        close(found[each], values)


@EVERY
def test_gradients_and_their_sum_are_those_of_examples_that_run_alone(name):
    model, inputs, targets = made(name)
    passed = Ghost(model)(inputs, targets, sums=True)
    for each, wanted in gradients(model, inputs, targets).items():
        found = [passed.gradients(each, part) for part in (FIRST, REST)]
        close(torch.cat(found), wanted)
        close(passed.sums[each], wanted.sum(0))


@EVERY
def test_one_engine_serves_batches_of_all_sizes(name):
    """What it learnt of the layout on one batch holds for the next; a single example and three are told apart too."""
    model, inputs, targets = made(name)
    wanted = squared_norms(model, inputs, targets)
    ghost = Ghost(model)
    for part in (slice(0, 7), slice(2, 3), FIRST, slice(1, 7)):
        found = ghost(inputs[part], targets[part]).squared_norms()
        for each, values in wanted.items():
            scale = float(values.abs().max())
            torch.testing.assert_close(found[each], values[part], rtol=0, atol=1e-9 * scale + 1e-15)


@pytest.mark.parametrize("name", [each for each in NETS if each != "branching"])
@pytest.mark.parametrize("limit", [2**24, 40], ids=["whole", "in blocks"])
@pytest.mark.parametrize("compact", [True, False])
def test_gram_matrices_span_batches(name, limit, compact, monkeypatch):
    monkeypatch.setattr(gram_file, "LIMIT", limit)
    model, inputs, targets = made(name)
    ghost = Ghost(model)
    passed = [ghost(*batch) for batch in halves(inputs, targets)]
    for each, wanted in gram(model, inputs, targets).items():
        pieces = [one.pieces[each] for one in passed]
        close(gradient_gram([one.compact() if compact else one for one in pieces]), wanted)


@EVERY
def test_samples_gather_norms_and_products_with_the_sum(name):
    model, inputs, targets = made(name)
    data = halves(inputs, targets)
    sample = gradient_sample(model, data)
    grams = gradient_grams(model, data)
    wanted = gram(model, inputs, targets)
    assert set(sample.names) == set(wanted) == set(grams)
    for place, each in enumerate(sample.names):
        close(grams[each], wanted[each])
        close(sample.squared_norms[:, place], wanted[each].diagonal())
        close(sample.with_sum[:, place], wanted[each].sum(1))
        close(sample.of_sum[place], wanted[each].sum())


@EVERY
def test_only_what_no_known_operator_explains_runs_alone(name):
    model, inputs, targets = made(name)
    pieces = Ghost(model)(inputs, targets).pieces
    alone = {each for each, piece in pieces.items() if isinstance(piece, OfOne)}
    assert alone == ALONE.get(name, set())


@pytest.mark.parametrize("by_gram", [True, False], ids=["two Grams", "products"])
@pytest.mark.parametrize("limit", [1, 2**22], ids=["one by one", "together"])
@pytest.mark.parametrize("name", ["cnn", "wide_cnn", "conv1d", "block", "language", "frames_first"])
def test_both_ways_give_the_same(name, by_gram, limit, monkeypatch):
    monkeypatch.setattr(products.Products, "by_gram", by_gram)
    monkeypatch.setattr(products, "CHUNK", limit)
    model, inputs, targets = made(name)
    found = norms_of(model, inputs, targets)
    for each, values in squared_norms(model, inputs, targets).items():
        close(found[each], values)


def test_a_recurrent_network_in_single_precision_runs_its_examples_one_by_one():
    model, inputs, targets = made("recurrent")
    model, inputs = model.float(), inputs.float()
    passed = Ghost(model)(inputs, targets)
    assert isinstance(passed.pieces["lstm.weight_hh_l0"], OfOne)
    found = passed.squared_norms()
    for each, values in squared_norms(model, inputs, targets).items():
        torch.testing.assert_close(found[each], values.double(), rtol=1e-4, atol=1e-9)


def energies(outputs: Tensor, _: Tensor) -> Tensor:
    return outputs.flatten(1).square().sum(1)


def five(example: Tensor) -> Tensor:
    other = (
        example + 0.5 * torch.randn_like(example)
        if example.is_floating_point()
        else example.flip(0)
    )
    pair = torch.cat([example, other])
    return torch.cat([pair, pair.roll(1, -1)])[:5]


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_real_architectures(name):
    model, example = build(name)
    outputs = model(example) if isinstance(example, Tensor) else None
    if not isinstance(outputs, Tensor) or outputs.dim() < 2 or len(outputs) != len(example):
        pytest.skip("it does not map one batch to another")
    inputs, targets = five(example), torch.zeros(5)
    found = norms_of(model, inputs, targets, energies)
    wanted = squared_norms(
        model, inputs, targets, lambda model, one, _: energies(model(one), one).sum()
    )
    for each, values in wanted.items():
        torch.testing.assert_close(
            found[each], values, rtol=0, atol=1e-8 * float(values.abs().max()) + 1e-15
        )


def centred() -> nn.Module:
    """Takes the mean over the batch away."""

    def run(self, x):
        hidden = self.inner(x)
        return self.out(hidden - hidden.mean(0))

    return Of(run, inner=nn.Linear(5, 6), out=nn.Linear(6, 3)).double()


@pytest.mark.parametrize("count", [3, 7])
def test_a_model_that_mixes_examples_is_refused(count):
    inputs, targets = torch.randn(count, 5).double(), torch.randint(0, 3, (count,))
    with pytest.raises(InvalidArgument, match="the model mixes examples or draws random numbers"):
        norms_of(centred(), inputs, targets)


def test_batch_norm_with_the_statistics_of_the_batch_is_refused():
    model = nn.Sequential(
        nn.Linear(5, 6), nn.BatchNorm1d(6, track_running_stats=False), nn.Linear(6, 3)
    )
    with pytest.raises(InvalidArgument, match="the model mixes examples"):
        norms_of(model, torch.randn(8, 5), torch.randint(0, 3, (8,)))


def test_batch_norm_in_training_mode_is_run_in_evaluation_mode():
    model, inputs, targets = made("norms")
    model.train()
    found = norms_of(model, inputs, targets)
    assert model.training
    for each, values in squared_norms(model, inputs, targets).items():
        close(found[each], values)


@EVERY
def test_nothing_is_left_behind(name):
    model, inputs, targets = made(name)
    model.train()
    before, taken = copy.deepcopy(model.state_dict()), inputs.clone()
    stream = torch.get_rng_state()
    passed = Ghost(model)(inputs, targets)
    passed.squared_norms()
    assert all(module.training for module in model.modules())
    assert all(each.grad is None for each in model.parameters())
    assert not any(module._forward_hooks or module._backward_hooks for module in model.modules())
    assert all(torch.equal(before[each], value) for each, value in model.state_dict().items())
    assert torch.equal(stream, torch.get_rng_state()) and torch.equal(taken, inputs)
    assert not passed.outputs.requires_grad and not passed.losses.requires_grad


def test_a_loss_that_is_one_number_is_refused():
    model, inputs, targets = made("mlp")
    with pytest.raises(
        InvalidArgument, match=r'one number per example, \[batch\].*reduction="none"'
    ):
        norms_of(model, inputs, targets, nn.CrossEntropyLoss())


def test_a_frozen_model_is_refused():
    model, inputs, targets = made("mlp")
    model.requires_grad_(False)
    with pytest.raises(InvalidArgument, match="depends on no parameter that has gradients"):
        norms_of(model, inputs, targets)


def test_the_norm_of_a_dense_network_has_a_closed_form():
    """The squared length is the sum over layers of ||delta||^2 (||a||^2 + 1)."""
    (model, inputs), targets = mlp(), torch.randint(0, 3, (7,))
    model = model.double()
    first = inputs
    second = torch.relu(model[0](first))
    third = torch.tanh(model[2](second))
    logits = model[4](third)
    error = logits.softmax(1) - nn.functional.one_hot(targets, 3)
    before = (error @ model[4].weight) * (1 - third.square())
    before_that = (before @ model[2].weight) * (second > 0)
    layers = ((first, before_that), (second, before), (third, error))
    wanted = sum(delta.square().sum(1) * (a.square().sum(1) + 1) for a, delta in layers).detach()
    found = torch.stack([*norms_of(model, inputs, targets).values()]).sum(0)
    close(found, wanted)


@pytest.mark.parametrize("positions", [None, 2])
def test_rows_multiply_to_the_gradient(positions):
    """All rows together make up the gradient; of a sample, each row is one of them."""
    for name in (
        "mlp",
        "wide_cnn",
        "block_sequence_first",
        "twice_convolved",
        "frames",
        "language",
    ):
        model, inputs, targets = made(name)
        passed = Ghost(model)(inputs, targets)
        whole, _ = passed.rows(None, torch.Generator())
        rows, _ = passed.rows(positions, torch.Generator().manual_seed(1))
        for each, wanted in gradients(model, inputs, targets).items():
            if each not in rows:
                continue
            every, chosen = whole[each], rows[each]
            for example in range(7):
                of_it = every.examples == example
                product = every.deltas[of_it].T @ every.inputs[of_it]
                torch.testing.assert_close(product, wanted[example].flatten(1))
            both = torch.cat([every.inputs, every.deltas, every.examples[:, None]], 1)
            some = torch.cat([chosen.inputs, chosen.deltas, chosen.examples[:, None]], 1)
            assert (torch.cdist(some, both).min(1).values < 1e-6).all()


def test_weights_without_rows_are_named_with_the_reason():
    reasons = {}
    for name in ("cnn", "language", "transposed", "twice_in_two_ways", "masked_weight"):
        model, inputs, targets = made(name)
        reasons[name] = Ghost(model)(inputs, targets).rows(None, torch.Generator())[1]
    assert "groups" in reasons["cnn"]["0.weight"]
    assert "table" in reasons["language"]["table.weight"]
    assert "transposed" in reasons["transposed"]["0.weight"]
    assert "several ways" in reasons["twice_in_two_ways"]["weight"]
    assert "not a plain product" in reasons["masked_weight"]["weight"]


def test_layouts_are_found_and_doubts_are_left():
    torch.manual_seed(0)
    weights = codes(3)
    plain = torch.randn(4, 3, 5)
    examples = weights[0][None, :, None]
    assert list(layouts(plain, [plain * examples], weights, 1)) == [Layout(4, 5)]
    assert list(layouts(plain, [plain * 1.5], weights, 1)) == []
    rows = torch.zeros(6, 2)
    assert list(layouts(rows, [rows], weights, 2)) == [Layout(1, 4), Layout(2, 2)]


def test_many_examples_are_told_apart_without_rounding():
    weights = codes(300)
    assert weights.shape == (3, 300)
    assert len({tuple(each) for each in weights.T.tolist()}) == 300
    assert set(weights.flatten().tolist()) <= {2.0**power for power in range(16)}


def test_memory_does_not_grow_with_the_data(monkeypatch):
    """Batches shrink until what comes back to the outputs fits; nothing of batch x parameters is formed."""
    monkeypatch.setattr(collecting, "MEMORY", 4000)
    sizes = []

    class Wide(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = parameter(5, 100)

        def forward(self, x):
            sizes.append(len(x))
            return (x @ self.weight)[:, :3]

    gradient_sample(Wide().double(), [(torch.randn(100, 5).double(), torch.randint(0, 3, (100,)))])
    assert set(sizes) == {8, 2, 5}  # the first, to learn the layout and what is left, the others
