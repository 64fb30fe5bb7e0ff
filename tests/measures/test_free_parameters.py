"""Free parameters, against explicit Jacobians of small networks."""

import dataclasses

import pytest
import torch
from torch import nn

from measuring import found_by, numbers_of, seen_with
from planted import batches
from surplus.measures import FreeParameters, findings
from surplus.measures.backward import NUM_EXAMPLES, Backward
from surplus.measures.free_parameters import num_small_products
from surplus.passes.ghost import MatrixSums
from surplus.passes.statistics import Comoments

N = 40


def summed(rows):
    comoments = Comoments(rows.shape[1])
    comoments.add(rows, N)
    return comoments


def found_with(model, received, returned, measure=None, name="0.weight", layer="0"):
    """What is found if the pass had given these rows for one weight matrix."""
    measure = measure or FreeParameters()
    seen = seen_with(measure, model, batches(N, (received.shape[1],), 3))
    sums = MatrixSums(None, torch.Generator())
    sums.inputs[name], sums.deltas[name] = summed(received), summed(returned)
    seen._kept["gradients", NUM_EXAMPLES] = Backward(None, sums, [])
    return numbers_of([each for _, each in findings(seen, (measure,))], layer)


def linear(rank_in, rank_out, bias):
    """A linear chain 5-4-6 whose inputs have one rank and whose second matrix another, and its inputs."""
    generator = torch.Generator().manual_seed(3)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    model = nn.Sequential(nn.Linear(5, 4, bias=bias), nn.Linear(4, 6, bias=False)).double()
    with torch.no_grad():
        model[1].weight.copy_(normal(6, rank_out) @ normal(rank_out, 4))
    return model, normal(N, rank_in) @ normal(rank_in, 5)


def jacobian_rank(model, inputs):
    """The rank of the derivative of all outputs by the first layer's parameters, entry by entry."""
    first = list(model[0].parameters())
    rows = []
    for x in inputs:
        for output in model(x[None])[0]:
            parts = torch.autograd.grad(output, first, retain_graph=True)
            rows.append(torch.cat([part.reshape(-1) for part in parts]))
    return int(torch.linalg.matrix_rank(torch.stack(rows), rtol=1e-8))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("rank_in", "rank_out"), [(5, 4), (3, 2), (1, 4), (4, 1)])
def test_is_exact_in_linear_networks(rank_in, rank_out, bias):
    model, inputs = linear(rank_in, rank_out, bias)
    errors = torch.randn(N, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(8))
    found = found_with(model, inputs, errors @ model[1].weight.detach())
    size = 20 + 4 * bias
    assert found["num_parameters"] == size
    assert found["input_rank"] == rank_in + bias
    assert found["gradient_rank"] == rank_out
    assert found["num_free_directions"] == size - jacobian_rank(model, inputs)
    assert found["free_share"] == found["num_free_directions"] / size


def test_is_a_lower_bound_where_gradients_depend_on_the_example():
    """Two units of which each fires on its own half of the data, each half having one direction of inputs."""
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1)).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(2))
        model[2].weight.fill_(1.0)
    inputs = torch.eye(2, dtype=torch.float64).repeat(N // 2, 1)
    fires = (model[0](inputs) > 0).double()
    found = found_with(model, inputs, fires)
    assert found["num_free_directions"] == 0
    assert 4 - jacobian_rank(model, inputs) == 2


@pytest.mark.parametrize("cut_off", [1e-3, 0.05, 1.0])
def test_soft_count_is_what_loops_count(cut_off):
    model, inputs = linear(5, 4, bias=False)
    rows = torch.randn(N, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    scaled = rows * torch.tensor([1.0, 0.3, 0.1, 0.0])
    found = found_with(model, inputs, scaled, FreeParameters(cut_off=cut_off))
    first = torch.linalg.svdvals(inputs).square() / N
    second = torch.linalg.svdvals(scaled).square() / N
    count = sum(float(a * b) < cut_off for a in first for b in second)
    assert found["num_soft_free_directions", cut_off] == count


def test_rows_of_an_example_add_up():
    """Three positions of an example: curvature is of examples, so inputs count three times."""
    rows = torch.ones(3 * N, 1, dtype=torch.float64)
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 3)).double()
    for cut_off, count in ((2.9, 0), (3.1, 1)):
        found = found_with(model, rows, rows, FreeParameters(cut_off=cut_off))
        assert found["num_soft_free_directions", cut_off] == count


def test_small_products():
    generator = torch.Generator().manual_seed(0)
    first, second = torch.rand(20, generator=generator), torch.rand(30, generator=generator)
    first[3] = second[4] = 0.0
    second[5] = -1e-9  # rounding of a null eigenvalue
    for cut_off in (1e-6, 0.01, 0.3):
        count = sum(float(a) * max(float(b), 0) < cut_off for a in first for b in second)
        assert num_small_products(first, second, cut_off) == count


def test_matrices_that_the_pass_did_not_see_are_named(mlp):
    seen = seen_with(FreeParameters(), mlp, batches(N, (6,), 3))
    sums = MatrixSums(None, torch.Generator())
    sums.unseen["2.weight"] = "it is odd"
    seen._kept["gradients", NUM_EXAMPLES] = Backward(None, sums, [])
    notes = {each.layer: each.note for _, each in findings(seen, (FreeParameters(),))}
    assert notes["2"] == "what `2.weight` receives is not known: it is odd"
    assert notes["0"].endswith("the pass did not look at it")


def test_without_data_it_says_so(mlp):
    seen = seen_with(FreeParameters(), mlp, batches(N, (6,), 3))
    found = findings(dataclasses.replace(seen, data=None), (FreeParameters(),))
    assert all("no data were given" in each.note for _, each in found)


def test_all_matrices_are_treated(mlp):
    found = found_by(FreeParameters(), mlp, batches(N, (6,), 3))
    assert {each.layer for each in found} == {"0", "2", "4"}
