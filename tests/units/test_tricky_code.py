"""Code that a tracer could get wrong: each is cut exactly, protected with a reason, or refused by name."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import surplus.units.flow
from surplus.base import InvalidArgument
from surplus.edits import NotEqual, cut, cut_, masked, replay_
from surplus.edits.verifying import difference
from surplus.masks import Mask, Scores, keep
from surplus.passes import activations
from surplus.units import find_units, tensors_of


class Net(nn.Module):
    """Two layers with something between them; another square layer and a buffer are there to be used."""

    def __init__(self, between, outside=None):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 6), nn.Linear(6, 3), nn.Linear(6, 6)
        self.wide = 6
        self.register_buffer("seen", torch.zeros(6))
        self.between = between

    def forward(self, x):
        return self.b(self.between(self, self.a(x)))


def example():
    return torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def cut_halves(model, inputs):
    """Cut half of every group by itself, which compares each with the masked model; return the units."""
    units = find_units(model, inputs)
    for group in units.removable():
        values = torch.rand(group.size, generator=torch.Generator().manual_seed(2))
        cut(model, keep(Scores({group.name: values}, "units", units), 0.5))
    return units


def filled(net, h):
    h = h.clone()
    h[:] = 0.5
    return h + net.c(h)


def by_parity(net, h):
    return h * 2 if h.shape[1] % 2 == 0 else h


def counted(net, h):
    net.calls = h.shape[1]
    net.seen += 1
    return h + 0 * torch.randn(5, 1)


def swapped(net, h):
    out = torch.empty_like(h)
    out[:, :3], out[:, 3:] = h[:, 3:], h[:, :3]
    return out


PROTECTED = {
    "a literal size": (lambda net, h: h + h.new_full((6,), 2.0), "the code says that there are 6"),
    "a literal product": (lambda net, h: h @ h.new_ones(6, 6), "the code says that there are 6"),
    "a literal half": (
        lambda net, h: torch.cat([h[:, 3:], h[:, :3]], 1),
        "the code computes a length from others",
    ),
    "a literal part": (lambda net, h: h.repeat(1, 2)[:, :6], "the code computes a length"),
    "zeros beside": (
        lambda net, h: torch.cat([h[:, :3], torch.zeros(5, 3).double()], 1),
        "the code computes a length",
    ),
    "a literal normalisation": (lambda net, h: F.layer_norm(h, (6,)), "the code computes a length"),
    "a root of the width": (
        lambda net, h: h * h.shape[1] ** -0.5,
        "the code computes a number from how many there are",
    ),
    "a decision": (by_parity, "the code decides by how many there are"),
    "swapped halves": (swapped, "they are taken apart at a fixed place"),
    "a difference": (
        lambda net, h: torch.cat(h.split([net.wide // 2, net.wide - net.wide // 2], 1), 1),
        "the code computes a length",
    ),
    "roll": (lambda net, h: h.roll(1, 1), "they are shifted, or taken in windows"),
    "roll through all": (lambda net, h: h.roll(1), "they are shifted"),
    "windows": (lambda net, h: h.unfold(1, 3, 3).flatten(1), "they are shifted, or taken"),
    "numpy": (lambda net, h: torch.from_numpy(h.numpy() * 2), "in a way that cannot be followed"),
    "memory": (lambda net, h: h.as_strided((5, 6), (6, 1)), "in a way that cannot be followed"),
    "grids": (
        lambda net, h: h * torch.meshgrid(h[0], h[1], indexing="ij")[0].sum(),
        "in a way that cannot be followed",
    ),
    "fourier": (lambda net, h: torch.fft.fft(h).abs(), "a Fourier transform mixes them"),
    "a matrix function": (
        lambda net, h: h @ torch.matrix_exp(h.mT @ h),
        "has no rule for (`aten.linalg_matrix_exp`",
    ),
    "a step that leaves a rest": (
        lambda net, h: F.pad(h, (0, 1))[:, ::2].repeat(1, 2)[:, 1:-1],
        "they are taken apart at a fixed place (`aten.slice`",
    ),
    "sparse": (lambda net, h: h.to_sparse().to_dense(), "has no rule for (`aten._to_sparse`"),
    "noise": (lambda net, h: F.dropout(h, 0.5, training=True), "they are combined with a tensor"),
    "single positions": (
        lambda net, h: torch.stack(h.unbind(1)[::-1], 1),
        "they are taken apart at a fixed place",
    ),
}


@pytest.mark.parametrize("name", PROTECTED)
def test_what_a_cut_would_break_is_protected(name):
    between, reason = PROTECTED[name]
    units = cut_halves(Net(between).double(), example())
    assert reason in units["a"].protected


CUT = {
    "filled": filled,
    "likes": lambda net, h: h + torch.ones_like(h),
    "a sum in einsum": lambda net, h: torch.einsum("bi,ij,kj->bk", h, net.c.weight, net.c.weight),
    "side effects": counted,
    "mean of all": lambda net, h: torch.relu(h) * torch.relu(h).mean(),
}


@pytest.mark.parametrize("name", CUT)
def test_what_follows_is_cut(name):
    assert cut_halves(Net(CUT[name]).double(), example())["a"].protected is None


def test_a_run_leaves_no_trace():
    """Neither in buffers and attributes that the code sets nor in the random stream."""
    model = Net(counted).double()
    state = torch.get_rng_state()
    cut_halves(model, example())
    assert not hasattr(model, "calls")
    assert not model.seen.any()
    assert torch.equal(state, torch.get_rng_state())


def test_hooks_and_lists_are_as_before():
    """Libraries put hooks on modules at the first run, and note in an attribute that they are there."""

    def between(net, h):
        if not hasattr(net, "hooked"):
            net.hooked = True
            net.b.register_forward_hook(lambda module, inputs, output: net.kept.append(output))
        return torch.relu(h)

    model = Net(between).double()
    model.kept = []
    cut_halves(model, example())
    assert model.kept == [] and not model.b._forward_hooks
    model(example())
    assert len(model.kept) == 1


class Routed(nn.Module):
    """Experts of which the data choose, so that a masked model may take another path than the whole one."""

    def __init__(self):
        super().__init__()
        self.first, self.router, self.last = nn.Linear(4, 8), nn.Linear(8, 3), nn.Linear(8, 2)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(8, 5 + i), nn.ReLU(), nn.Linear(5 + i, 8)) for i in range(3)
        )
        self.norm = nn.LayerNorm(8)

    def forward(self, x):
        h = torch.tanh(self.first(x))
        chosen = self.router(h).argmax(-1)
        result = torch.zeros_like(h)
        for expert in chosen.unique().tolist():
            (rows,) = torch.where(chosen == expert)
            result.index_add_(0, rows, self.experts[expert](h[rows]))
        return self.last(F.gelu(self.norm(h + result)))


def test_what_comes_behind_another_path_is_found():
    torch.manual_seed(3)
    model, paths = Routed().double(), set()
    model.router.register_forward_hook(lambda m, i, output: paths.add(tuple(output.argmax(-1))))
    units = find_units(model, example())
    for group in units.removable():
        for seed in range(4):
            values = torch.rand(group.size, generator=torch.Generator().manual_seed(seed))
            cut(model, keep(Scores({group.name: values}, "units", units), 0.5))
    assert "first" in {group.name for group in units.removable()}
    assert len(paths) > 1


def test_units_are_seen_on_data_that_take_another_path():
    torch.manual_seed(3)
    model = Routed().double()
    units = find_units(model, example())
    inputs = torch.randn(40, 4, dtype=torch.float64)
    by_path = torch.stack([model.router(torch.tanh(model.first(x))).argmax(-1) for x in inputs])
    expected = torch.tanh(model.first(inputs))
    (found,) = activations(model, units["first"].tap, [(inputs, torch.zeros(40))])
    assert torch.equal(found[:, :, 0], expected)
    unused = next(e for e in range(3) if bool((by_path == e).any()) and bool((by_path != e).any()))
    tap = next(g.tap for g in find_units(model, inputs) if g.name == f"experts.{unused}.0")
    without = inputs[by_path != unused]
    with pytest.raises(InvalidArgument, match="the model takes another path than on the example"):
        list(activations(model, tap, [(without, torch.zeros(len(without)))]))


def heads(form):
    class Heads(nn.Module):
        def __init__(self):
            super().__init__()
            self.heads, self.head_dim = 2, 3
            self.q, self.k, self.v = nn.Linear(4, 6), nn.Linear(4, 6), nn.Linear(4, 6)
            self.out = nn.Linear(6, 3)

        def forward(self, x):
            b, t, _ = x.shape
            heads = self.heads if form != "one" else 1
            q, k, v = (e(x).view(b, t, heads, -1).transpose(1, 2) for e in (self.q, self.k, self.v))
            if form == "own":
                y = (q @ k.mT / self.head_dim**0.5).softmax(-1) @ v
            else:
                y = F.scaled_dot_product_attention(q, k, v)
            return self.out(y.transpose(1, 2).flatten(2))

    return Heads().double()


@dataclass(frozen=True)
class Settings:
    width: int = 6
    heads: int = 3
    sizes: tuple[int, ...] = (4, 6)


class Configured(nn.Module):
    """Two layers whose sizes the code reads from settings, which both hold, as do other models."""

    def __init__(self, settings):
        super().__init__()
        self.settings = settings
        self.layers = nn.ModuleList(ConfiguredLayer(settings) for _ in range(2))
        self.last = nn.Linear(6, 2)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.last(x) * self.settings.sizes[0]


class ConfiguredLayer(nn.Module):
    def __init__(self, settings):
        super().__init__()
        self.settings = settings
        self.qkv, self.out = nn.Linear(6, 18), nn.Linear(6, 6)

    def forward(self, x):
        s = self.settings
        b, t, _ = x.shape
        q, k, v = (
            each.view(b, t, s.heads, -1).transpose(1, 2)
            for each in self.qkv(x).split(s.width, dim=2)
        )
        y = (q @ k.mT).softmax(-1) @ v
        return x + self.out(y.transpose(1, 2).reshape(b, t, s.width))


def test_integers_of_settings_follow_in_all_layers():
    settings = Settings()
    model, x = Configured(settings).double(), torch.randn(2, 5, 6).double()
    units = cut_halves(model, x)
    (group,) = (each for each in units.removable() if each.kind == "head")
    assert {slot.tensor for slot in group.incoming} == {f"layers.{i}.qkv.weight" for i in range(2)}
    mask = Mask.full(units)
    mask.kept[group.name][1] = False
    smaller, edits = cut(model, mask)
    assert smaller.settings is smaller.layers[0].settings is smaller.layers[1].settings
    assert smaller.settings == Settings(width=4, heads=2)
    assert {each.name for each in edits.steps[0].integers} == {"settings.width", "settings.heads"}
    cut_(model, mask)
    other = Configured(settings).double()
    assert settings == Settings() and model.settings == Settings(width=4, heads=2)
    assert other(x).shape == model(x).shape
    replay_(other, edits)
    assert other.layers[1].settings == Settings(width=4, heads=2) and settings == Settings()


def test_what_attention_is_scaled_by_stays():
    x = torch.randn(2, 5, 4).double()
    assert cut_halves(heads("own"), x)["q"].kind == "head"
    assert cut_halves(heads("torch"), x)["q"].kind == "head"
    assert "computes a number from" in cut_halves(heads("one"), x)["q"].protected


def test_one_head_of_torch_attention_stays():
    class One(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 2)
            self.attention = nn.MultiheadAttention(6, 1, batch_first=True)

        def forward(self, x):
            h = self.first(x)
            return self.last(self.attention(h, h, h, need_weights=False)[0])

    units = cut_halves(One().double(), torch.randn(2, 5, 4).double())
    assert "with one head" in units["first"].protected


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM, nn.RNN])
def test_a_recurrent_layer_that_runs_one_step_is_tied_to_its_state(kind):
    class Steps(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.out = kind(4, 6, batch_first=True), nn.Linear(6, 2)

        def forward(self, x):
            return self.out(self.rnn(x)[0])

    units = cut_halves(Steps().double(), torch.randn(2, 1, 4).double())
    (group,) = units.removable()
    assert ("rnn.weight_hh_l0", 1) in {(slot.tensor, slot.axis) for slot in group.slots}


class Pieces(nn.Module):
    """Channels that are folded and joined."""

    def __init__(self, through):
        super().__init__()
        self.first, self.through = nn.Conv2d(2, 4, 1), through
        self.last = nn.LazyConv2d(2, 1)

    def forward(self, x):
        return self.last(self.through(self.first(x)))


@pytest.mark.parametrize("side", [1, 4])
def test_the_factor_of_a_pixel_shuffle_is_fixed(side):
    x = torch.randn(2, 2, side, side)
    model = Pieces(nn.PixelShuffle(2))
    model(x)
    assert cut_halves(model.double(), x.double())["first"].protected is not None


def test_a_normalisation_without_tensors_does_not_shift_the_count_of_operators():
    x = torch.randn(2, 2, 4, 4)
    model = Pieces(nn.Sequential(nn.GroupNorm(2, 4, affine=False), nn.Softplus()))
    model(x)
    assert "group normalisation" in cut_halves(model.double(), x.double())["first"].coupled


def test_every_label_along_a_joined_axis_is_kept():
    class Joined(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.each = nn.Linear(4, 6), nn.Linear(2, 4)
            self.beside, self.last = nn.Linear(4, 12), nn.Linear(12, 2)

        def forward(self, x):
            wide = self.each(self.first(x).view(len(x), 3, 2)).flatten(1)
            return self.last(torch.cat([wide], 1) + self.beside(x))

    units = cut_halves(Joined().double(), example())
    assert ("beside.weight", 0) in {(s.tensor, s.axis) for s in units["each"].slots}


def test_an_integer_that_crops_two_axes_protects_what_lies_along_one():
    class Crop(nn.Module):
        def __init__(self):
            super().__init__()
            self.side, self.over, self.last = 4, nn.Linear(4, 4), nn.Linear(32, 2)

        def forward(self, x):
            return self.last(self.over(x)[:, :, : self.side, : self.side].flatten(1))

    units = cut_halves(Crop().double(), torch.randn(3, 2, 4, 4).double())
    assert "`side` of `the model`" in units["over"].protected


def test_the_last_position_of_a_piece_stays():
    class Part(nn.Module):
        def __init__(self):
            super().__init__()
            self.taken, self.first, self.last = 1, nn.Linear(4, 3), nn.Linear(3, 2)

        def forward(self, x):
            h = self.first(x)
            return self.last(torch.cat([h[:, self.taken :], h[:, : self.taken]], 1))

    units = find_units(Part().double(), example())
    assert "no other position" in units["first[0:1]"].protected
    assert units["first[1:3]"].protected is None


def test_the_statistics_of_parameters_are_those_of_what_is_kept():
    class Regularised(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 6), nn.Linear(6, 3)

        def forward(self, x):
            return self.b(self.a(x)), sum(each.abs().mean() for each in self.parameters())

    assert cut_halves(Regularised().double(), example())["a"].protected is None


@pytest.mark.parametrize(
    "raised",
    [KeyError("k"), ZeroDivisionError("z"), AssertionError("a"), StopIteration(), OSError("o")],
)
@pytest.mark.message
def test_a_model_that_raises_is_refused(raised):
    def between(net, h):
        raise raised

    with pytest.raises(InvalidArgument, match=r"does not run on an example of shape \(5, 4\)"):
        find_units(Net(between).double(), example())


def quantised():
    return nn.Sequential(torch.ao.nn.quantized.dynamic.Linear(4, 6), nn.ReLU())


REFUSED = {
    "script": (
        lambda: nn.Sequential(torch.jit.script(nn.Linear(4, 4))),
        "`0` is a ScriptModule, whose code cannot be followed: use the module that it was made",
    ),
    "quantised": (quantised, "`0` is quantised .Linear.: .* Cut the model before it is quantised"),
    "lazy": (lambda: nn.Sequential(nn.LazyLinear(4)), "`0.weight` has no shape yet: run the model"),
    "function": (lambda: len, "The model is a builtin_function_or_method; an `nn.Module` is"),
}


@pytest.mark.message
@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.filterwarnings("ignore")
def test_what_has_no_tensors_to_cut_is_refused(name):
    build, message = REFUSED[name]
    with pytest.raises(InvalidArgument, match=message):
        find_units(build(), example())


def chain():
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).double()


def cut_one(model, inputs, verify=True):
    mask = Mask.full(find_units(model, inputs))
    mask.kept["0"][1] = False
    return cut(model, mask, verify)[0]


@pytest.mark.message
def test_what_cannot_be_compared_says_why():
    model = chain()
    with torch.no_grad():
        model[2].weight[0, 0] = torch.nan
    with pytest.raises(
        InvalidArgument, match="`2.weight` holds values that are not; the edit cannot"
    ):
        cut_one(model, example())
    assert cut_one(model, example(), verify=False)[0].out_features == 5
    with pytest.raises(
        InvalidArgument, match="gives no outputs, so that the edit cannot be checked"
    ):
        cut_one(chain(), torch.zeros(0, 4).double())
    with pytest.raises(InvalidArgument, match="has no values, being on the meta device"):
        cut_one(chain().to("meta"), example().to("meta"))
    logarithm = Net(lambda net, h: h + (net.c(h) - 9).log()).double()
    mask = Mask.full(find_units(logarithm, example()))
    mask.kept["a"][0] = False
    with pytest.raises(InvalidArgument, match="those of the model itself are not on this example"):
        cut(logarithm, mask)
    reciprocal = Net(lambda net, h: 1 / h).double()
    mask = Mask.full(find_units(reciprocal, example()))
    mask.kept["a"][0] = False
    with pytest.raises(InvalidArgument, match="an operator has no value at zero, as a division"):
        cut(reciprocal, mask)


def test_a_model_that_rounds_is_compared_as_exactly_as_it_rounds():
    """In double precision, but for a step in single: no rounding is taken for a defect, and no defect for rounding."""
    model = Net(lambda net, h: torch.relu(h.float()).to(h.dtype).cumsum(0)).double()
    model.b.weight.data.mul_(100)
    units = find_units(model, example())
    mask = Mask.full(units)
    mask.kept["a"][1] = False
    smaller, _ = cut(model, mask)
    smaller.b.weight.data.mul_(1 + 1e-7)
    difference(masked(model, mask), smaller, model, units.example)
    smaller.b.weight.data.mul_(1.01)
    with pytest.raises(NotEqual, match="differ from the masked model's by up to"):
        difference(masked(model, mask), smaller, model, units.example)


@pytest.mark.message
def test_a_mask_that_empties_a_piece_is_refused():
    class Part(nn.Module):
        def __init__(self):
            super().__init__()
            self.taken, self.first, self.last = 2, nn.Linear(4, 5), nn.Linear(5, 2)

        def forward(self, x):
            h = self.first(x)
            h = torch.cat([h[:, self.taken :], h[:, : self.taken]], 1)
            return self.last(h)

    units = find_units(Part().double(), example())
    mask = Mask.full(units)
    mask.kept["first"][:2] = False
    with pytest.raises(
        InvalidArgument, match="removes all 2 units that `taken` of `the model` counts"
    ):
        cut(units.model, mask)


@pytest.mark.message
def test_a_cut_model_that_does_not_run_is_reported(monkeypatch):
    monkeypatch.setattr(
        "surplus.edits.cutting.resized_copy",
        lambda model, step: nn.Sequential(*model, nn.Linear(9, 9)),
    )
    with pytest.raises(NotEqual, match="The cut model does not run on the example: .* report this"):
        cut_one(chain(), example())


def test_a_rule_that_fails_protects_what_it_was_for(monkeypatch):
    model = Net(lambda net, h: torch.relu(h)).double()
    rules = surplus.units.rules.RULES

    def broken(*inputs):
        raise ZeroDivisionError("a slip")

    monkeypatch.setitem(rules, "relu", broken)
    with pytest.raises(ZeroDivisionError, match="a slip"):
        find_units(model, example())
    monkeypatch.setattr(surplus.units.flow, "STRICT", False)
    protected = find_units(model, example())["a"].protected
    assert protected.startswith("Surplus failed to follow them, with ZeroDivisionError('a slip')")


def test_models_without_parameters_have_no_units():
    assert len(find_units(nn.ReLU(), example())) == 0
    assert tensors_of(nn.ReLU()) == {}
