import pytest
import torch
from torch import nn

from surplus.base import InvalidArgument, UnknownName
from surplus.edits import factorise, factorise_, load, replay_, save
from surplus.units import find_units
from zoo import build, run


def mlp():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 10), nn.ReLU(), nn.Linear(10, 8)).double()
    return model, torch.randn(6, 12).double()


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_the_product_is_the_best_approximation_of_its_rank(rank):
    model, example = mlp()
    smaller, edits = factorise(model, find_units(model, example), "2", rank=rank)
    inner, outer = smaller[2]
    S = torch.linalg.svdvals(model[2].weight)
    apart = (outer.weight @ inner.weight - model[2].weight).norm()
    torch.testing.assert_close(apart, S[rank:].norm(), rtol=1e-9, atol=1e-9)
    assert torch.equal(outer.bias, model[2].bias) and inner.bias is None
    assert edits.steps[0].rank == rank
    assert (edits.steps[0].difference < 1e-12) == (rank == 8)


@pytest.mark.parametrize("name", ["resnet18", "vit", "vgg_bn", "conv1d_net", "convnext"])
def test_every_plain_layer_of_other_peoples_networks_at_full_rank(name):
    model, example = build(name) if name != "conv1d_net" else conv1d()
    units = find_units(model, example)
    plain = [
        (path, module)
        for path, module in model.named_modules()
        if type(module) in (nn.Linear, nn.Conv1d, nn.Conv2d)
        and path
        and getattr(module, "groups", 1) == 1
    ]
    for path, module in plain[:3] + plain[-2:]:
        rank = min(len(module.weight), module.weight[0].numel())
        try:
            _, edits = factorise(model, units, path, rank=rank)
        except InvalidArgument as refused:
            assert "too" in str(refused) or "runs" in str(refused)
        else:
            assert edits.steps[0].difference <= 1e-9


def conv1d():
    torch.manual_seed(0)
    layers = (
        nn.Conv1d(3, 8, 5, stride=2, padding=2, dilation=2, padding_mode="circular"),
        nn.ReLU(),
        nn.Conv1d(8, 4, 3, padding="same"),
    )
    return nn.Sequential(*layers).double(), torch.randn(2, 3, 30).double()


def test_rank_by_energy_and_by_elbow():
    torch.manual_seed(0)
    model, example = mlp()
    low = torch.randn(8, 2).double() @ torch.randn(2, 10).double()
    with torch.no_grad():
        model[2].weight.copy_(low + 1e-4 * torch.randn(8, 10))
    units = find_units(model, example)
    assert factorise(model, units, "2", energy=0.999)[1].steps[0].rank == 2
    assert factorise(model, units, "2", energy=1.0)[1].steps[0].rank == 8
    assert factorise(model, units, "2")[1].steps[0].rank in (2, 3)


def test_saved_and_loaded(tmp_path):
    model, example = mlp()
    state = torch.get_rng_state()
    smaller, edits = factorise(model, find_units(model, example), "0", rank=4)
    more, later = factorise(smaller, find_units(smaller, example), "2", rank=3)
    save(tmp_path / "both", more, edits + later)
    assert torch.equal(torch.get_rng_state(), state)
    again = load(tmp_path / "both", into=mlp()[0])
    assert torch.equal(again(example), more(example))


@pytest.mark.parametrize(
    ("layer", "settings", "message"),
    [
        ("2", {"rank": 9}, r"`rank` is 9; .* integer between 1 and 8"),
        ("2", {"rank": 0}, "`rank` is 0"),
        ("2", {"rank": 2, "energy": 0.5}, "give one"),
        ("2", {"energy": 1.5}, r"`energy` is 1.5; .* in \(0, 1\]"),
        ("1", {"rank": 2}, "A ReLU cannot be factorised"),
        ("", {"rank": 2}, "wrap it in `nn.Sequential`"),
    ],
)
def test_what_cannot_be_is_refused(layer, settings, message):
    model, example = mlp()
    with pytest.raises(InvalidArgument, match=message):
        factorise(model, find_units(model, example), layer, **settings)


def test_a_layer_that_is_not_there_is_refused():
    model, example = mlp()
    with pytest.raises(UnknownName, match="There is no module called `3`"):
        factorise(model, find_units(model, example), "3", rank=1)


def test_a_tied_weight_is_refused():
    model, example = build("gpt_tied")
    units = find_units(model, example)
    tied = next(
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
        and any(
            isinstance(other, nn.Embedding) and other.weight is module.weight
            for other in model.modules()
        )
    )
    with pytest.raises(InvalidArgument, match="two layers cannot be tied to one"):
        factorise(model, units, tied, rank=2)


def test_in_place_the_weight_stays_and_the_optimiser_follows():
    model, example = mlp()
    optimizer = torch.optim.Adam(
        [{"params": [model[0].weight, model[0].bias]}, {"params": model[2].parameters(), "lr": 0.5}]
    )
    model(example).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    weight, bias = model[2].weight, model[2].bias
    expected, _ = factorise(model, find_units(model, example), "2", rank=3)
    with pytest.warns(UserWarning, match="`2.weight` is another matrix now"):
        factorise_(model, find_units(model, example), "2", rank=3, optimizer=optimizer)
    assert model[2][1].weight is weight and model[2][1].bias is bias
    assert any(p is model[2][0].weight for p in optimizer.param_groups[1]["params"])
    assert torch.equal(run(model, example), run(expected, example))
    before = model[2][0].weight.clone()
    model(example).sum().backward()
    optimizer.step()
    assert not torch.equal(before, model[2][0].weight)


@pytest.mark.message
def test_a_weight_without_singular_values_and_a_rank_that_is_no_integer_are_refused():
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    units = find_units(model, torch.randn(2, 4))
    with pytest.raises(InvalidArgument, match=r"`rank` is 2\.5; .* is an integer between 1 and 4"):
        factorise(model, units, "0", rank=2.5)
    with torch.no_grad():
        model[0].weight[0, 0] = torch.nan
    with pytest.raises(InvalidArgument, match="weight holds values that are not finite"):
        factorise(model, units, "0", rank=1)


def test_a_frozen_layer_stays_frozen_when_its_edits_are_replayed():
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    model[0].requires_grad_(False)
    smaller, edits = factorise(model, find_units(model, torch.randn(2, 4)), "0", rank=1)
    replay_(model, edits)
    frozen = [not each.requires_grad for each in smaller.parameters()]
    assert frozen == [not each.requires_grad for each in model.parameters()]
    assert frozen == [True, True, True, False, False]


def test_two_convolutions_lie_in_memory_as_the_one_did():
    model = nn.Sequential(nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Conv2d(6, 2, 1))
    model = model.to(memory_format=torch.channels_last)
    smaller, edits = factorise(model, find_units(model, torch.randn(1, 4, 5, 5)), "0", rank=2)
    replay_(model, edits)
    for each in (smaller, model):
        assert each[0][0].weight.is_contiguous(memory_format=torch.channels_last)
