"""Models leave as ONNX and as programs of torch.export, and what is written computes what they compute."""

import io
import sys
import warnings
from collections import OrderedDict
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.utils._pytree import register_pytree_node

import surplus as sp
from surplus.base import InvalidArgument, StorageFailure
from surplus.interop import NotExported, export_onnx, export_program
from surplus.interop.agreement import check_agreement
from surplus.interop.onnx import LARGEST
from surplus.masks import Scores
from surplus.units import tensors_of
from zoo import ZOO, build, run

FORMS = {"onnx": export_onnx, "pt2": export_program}
NAMES = ("resnet18", "vit", "lstm", "two_inputs_dict")


def cut_half(name, seed=0):
    """Return a cut model of the zoo in single precision, and its example."""
    model, example = build(name, seed, torch.float32)
    units = sp.find_units(model, example)
    generator = torch.Generator().manual_seed(seed)
    values = {each.name: torch.rand(each.size, generator=generator) for each in units.removable()}
    if not values:
        return model.eval(), example  # nothing can be removed; it leaves as it is
    smaller, edits = sp.cut(model, sp.keep(Scores(values, "units", units), 0.5))
    assert edits.steps[0].slices
    return smaller.eval(), example


def ran(path, example):
    """Run an exported file on an example, with what a user has at hand, and return its outputs."""
    leaves = torch.utils._pytree.tree_leaves(example)
    if path.suffix == ".onnx":
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        names = [each.name for each in session.get_inputs()]
        named = dict(zip(names, (each.numpy() for each in leaves), strict=True))
        return [torch.from_numpy(each) for each in session.run(None, named)]
    return torch.utils._pytree.tree_leaves(run(torch.export.load(path).module(), example))


def batches(example, size):
    def sized(tensor):
        return tensor[torch.arange(size) % len(tensor)]

    return torch.utils._pytree.tree_map(sized, example)


def check_batches(path, model, example, sizes):
    """Compare a file with the model on batches of other sizes."""
    for size in sizes:
        inputs = batches(example, size)
        with torch.no_grad():
            expected = torch.utils._pytree.tree_leaves(run(model, inputs))
        for one, other in zip(ran(path, inputs), expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NAMES)
def test_a_cut_model_is_exported_for_any_batch(name, form, tmp_path):
    model, example = cut_half(name)
    path = tmp_path / f"model.{form}"
    written = FORMS[form](path, model, example)
    assert (written.path, written.num_bytes) == (path, path.stat().st_size)
    assert written.batch is None and written.difference < 1e-4
    check_batches(path, model, example, (1, 2, 5))


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", sorted(set(ZOO) - {*NAMES, "nn_transformer"}))
def test_whatever_is_cut_is_exported(name, form, tmp_path):
    model, example = cut_half(name)
    if form == "onnx" and name == "orthogonal":
        pytest.skip("ONNX has no matrix exponential")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* takes a batch of", UserWarning)
        path = tmp_path / f"model.{form}"
        written = FORMS[form](path, model, example, allow_masked=True)
    with torch.no_grad():
        expected = torch.utils._pytree.tree_leaves(run(model, example))
    for one, other in zip(ran(path, example), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)
    assert written.batch is None or name in ("swin", "tied_lstm_lm")


@pytest.mark.parametrize("form", FORMS)
def test_an_example_of_one_is_no_limit(form, tmp_path):
    model, example = cut_half("vit")
    assert FORMS[form](tmp_path / f"one.{form}", model, example[:1]).batch is None
    check_batches(tmp_path / f"one.{form}", model, example, (1, 3))


@pytest.mark.parametrize("form", FORMS)
def test_the_model_is_left_as_it_was(form, tmp_path):
    model, example = cut_half("resnet18")
    model.train()
    model.layer1.eval()
    before = {name: tensor.clone() for name, tensor in tensors_of(model).items()}
    modes = {name: module.training for name, module in model.named_modules()}
    random = torch.get_rng_state()
    FORMS[form](tmp_path / f"model.{form}", model, example)
    assert modes == {name: module.training for name, module in model.named_modules()}
    assert all(torch.equal(before[name], tensor) for name, tensor in tensors_of(model).items())
    assert torch.equal(torch.get_rng_state(), random)
    assert all(parameter.grad is None for parameter in model.parameters())
    check_batches(tmp_path / f"model.{form}", model.eval(), example, (2,))


@pytest.mark.parametrize("form", FORMS)
def test_the_file_holds_nothing_of_this_machine_nor_the_example(form, tmp_path):
    model, example = cut_half("two_inputs_dict")
    example = {name: each * 0 + 0.123456 for name, each in example.items()}
    FORMS[form](tmp_path / f"model.{form}", model, example)
    data = (tmp_path / f"model.{form}").read_bytes()
    assert b".py" not in data and b"zoo/" not in data
    assert np.float32(0.123456).tobytes() * 4 not in data


def test_inputs_outputs_and_the_batch_have_names(tmp_path):
    def names(model, example):
        export_onnx(tmp_path / "model.onnx", model, example)
        graph = onnx.load(tmp_path / "model.onnx").graph
        first = {each.type.tensor_type.shape.dim[0].dim_param for each in graph.input}
        assert first == {"batch"}
        return [each.name for each in graph.input], [each.name for each in graph.output]

    model, example = build("two_inputs_dict", dtype=torch.float32)
    assert names(model, example) == (["image", "table"], ["output"])
    backwards = dict(reversed(example.items()))
    assert names(model, backwards) == (["table", "image"], ["output"])
    model, example = build("two_heads_tuple", dtype=torch.float32)
    assert names(model, example)[1] == ["output_0", "output_1"]
    model, example = build("two_heads_dict", dtype=torch.float32)
    assert names(model, example)[1] == list(model(example))


class Answer(OrderedDict):
    """A dictionary of a class of its own, as those of Hugging Face's models."""


class Pair:
    """Two tensors, whose places have no names."""

    def __init__(self, parts):
        self.parts = parts


register_pytree_node(
    Answer, lambda each: (list(each.values()), list(each)), lambda v, k: Answer(zip(k, v, strict=True)),
    serialized_type_name="Answer",
)  # fmt: skip
register_pytree_node(
    Pair,
    lambda each: (list(each.parts), None),
    lambda parts, _: Pair(parts),
    serialized_type_name="Pair",
)


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda h: Answer(logits=h, hidden=(h + 1, h + 2)), ["logits", "hidden_0", "hidden_1"]),
        (lambda h: Pair((h, h + 1)), ["output_0", "output_1"]),
        (lambda h: {"deep": Pair((h, h + 1))}, ["output_0", "output_1"]),
    ],
)
def test_outputs_of_classes_of_ones_own_have_names(make, names, tmp_path):
    model = Through(lambda h, *_: make(h))
    assert export_program(tmp_path / "model.pt2", model, torch.randn(3, 4)).difference == 0
    assert export_onnx(tmp_path / "model.onnx", model, torch.randn(3, 4)).batch is None
    graph = onnx.load(tmp_path / "model.onnx").graph
    assert [each.name for each in graph.output] == names


class Through(nn.Module):
    """Returns what it is told to make of its inputs and of one layer."""

    def __init__(self, make):
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.make = make

    def forward(self, x, y=None, scale=2):
        return self.make(self.linear(x), x, y, scale)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "make",
    [
        lambda h, x, y, scale: (h, x, h, None),
        lambda h, x, y, scale: {"x": h, "linear": h * scale, "linear.weight": [h + 1, (x > 0)]},
        lambda h, x, y, scale: h if y is None else h + y["a"][0] * scale,
        lambda h, x, y, scale: torch.fft.fft(h),
        lambda h, x, y, scale: h.masked_fill(x > 0, -torch.inf),
        lambda h, x, y, scale: (h.argmax(1), h.sum()),
    ],
    ids=["passed-on", "names", "nested", "complex", "infinite", "integers"],
)
def test_outputs_of_any_kind_are_exported(make, form, tmp_path):
    x = torch.randn(3, 4)
    example = {"x": x, "y": {"a": [x + 1]}, "scale": 3}
    written = FORMS[form](tmp_path / f"model.{form}", Through(make), example)
    assert written.batch is None and written.difference < 1e-5


def test_a_batch_that_is_fixed_is_said_to_be(tmp_path):
    class Fixed(nn.Sequential):
        def forward(self, x):
            return super().forward(x.reshape(3, -1))

    model, x = Fixed(nn.Linear(4, 2)), torch.randn(3, 4)
    for form, export in FORMS.items():
        with pytest.warns(UserWarning, match=r"takes a batch of 3 only, as the example has"):
            written = export(tmp_path / f"model.{form}", model, x)
        assert written.batch == 3
        check_batches(tmp_path / f"model.{form}", model, x, (3,))
    assert export_program(tmp_path / "model.pt2", model, x, any_batch=False).batch == 3
    net = nn.Linear(4, 2)
    assert export_onnx(tmp_path / "model.onnx", net, x, any_batch=False).batch == 3
    shape = onnx.load(tmp_path / "model.onnx").graph.input[0].type.tensor_type.shape
    assert [each.dim_value for each in shape.dim] == [3, 4]


def test_code_that_makes_something_of_the_length_is_named(tmp_path):
    class Scaled(nn.Linear):
        def forward(self, x):
            return super().forward(x.view(int(x.shape[0] * 1.0), 4))

    with pytest.warns(UserWarning, match="something of the length of the batch that holds for"):
        written = export_program(tmp_path / "model.pt2", Scaled(4, 2), torch.randn(2, 4))
    assert written.batch == 2


def decides(h, x, y, scale):
    return h if h.sum() > 0 else -h


@pytest.mark.parametrize(
    ("form", "make", "message"),
    [
        ("onnx", lambda h, *_: torch.kthvalue(h, 2)[0], "nothing for the operator `aten.kthvalue`"),
        ("onnx", lambda h, *_: torch.randn_like(h), "differs from the model by up to"),
        (
            "onnx",
            lambda h, *_: (h, 3),
            r"returns a int \(3\) among its outputs; ONNX holds tensors",
        ),
        ("onnx", lambda h, *_: torch.histc(h, 4), "cannot write the operator `aten.histc` as ONNX"),
        ("onnx", decides, "decides by the values of tensors .test_exporting.py line .* if h.sum"),
        ("pt2", decides, "decides by the values of tensors .test_exporting.py line .* if h.sum"),
        ("pt2", lambda h, *_: torch.from_numpy((h + 1).detach().numpy()), "line .*from_numpy"),
        ("pt2", lambda h, *_: h / 0 * 0, "returns NaN on the example"),
    ],
)
def test_what_cannot_be_exported_is_named_and_leaves_nothing(form, make, message, tmp_path, capfd):
    path = tmp_path / f"model.{form}"
    path.write_bytes(b"an older export")
    with pytest.raises(NotExported, match=message):
        FORMS[form](path, Through(make), torch.randn(3, 4))
    assert path.read_bytes() == b"an older export"
    assert list(tmp_path.iterdir()) == [path]
    assert capfd.readouterr() == ("", "")


def test_a_line_of_a_library_beside_torch_is_named(tmp_path):
    """Of torchvision, say, whose folder's name begins as that of torch."""
    made = {"nn": nn}
    code = "class Net(nn.Linear):\n    def forward(self, x):\n        return x if x.sum() > 0 else -x\n"
    exec(compile(code, str(Path(torch.__file__).parent) + "vision/net.py", "exec"), made)
    with pytest.raises(NotExported, match=r"decides by the values of tensors \(net.py line 3"):
        export_program(tmp_path / "model.pt2", made["Net"](4, 4), torch.randn(3, 4))


def test_double_precision_is_refused_with_what_to_do(tmp_path):
    model, example = build("conv_chain")
    with pytest.raises(NotExported, match=r"few operators for float64: export `model.float\(\)`"):
        export_onnx(tmp_path / "model.onnx", model, example)
    assert export_program(tmp_path / "model.pt2", model, example).difference == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_exported_or_refused(dtype, tmp_path):
    model, x = (
        nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)).to(dtype),
        torch.randn(2, 4),
    )
    assert export_program(tmp_path / "model.pt2", model, x).difference == 0
    if dtype == torch.float16:
        assert export_onnx(tmp_path / "model.onnx", model, x).difference < 0.01
    else:
        with pytest.raises(NotExported, match="few operators for bfloat16"):
            export_onnx(tmp_path / "model.onnx", model, x)


def test_a_parametrisation_that_is_in_the_way_is_named(tmp_path):
    model, example = build("orthogonal", dtype=torch.float32)
    with pytest.raises(
        NotExported, match=r"linalg_matrix_exp.*`2` is parametrised with _Orthogonal"
    ):
        export_onnx(tmp_path / "model.onnx", model, example)
    parametrize.remove_parametrizations(model[2], "weight")
    assert export_onnx(tmp_path / "model.onnx", model, example).batch is None


@pytest.mark.message
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("model", "example", "message"),
    [
        (3, torch.zeros(1), "The model is a int; an `nn.Module` is needed"),
        (nn.Linear(4, 2), torch.zeros(2, 5), r"does not run on inputs of shape \(2, 5\)"),
        (nn.Linear(4, 2, device="meta"), torch.zeros(2, 4), "`weight` is on the meta device"),
    ],
)
def test_what_is_no_model_is_refused(form, model, example, message, tmp_path):
    with pytest.raises(InvalidArgument, match=message):
        FORMS[form](tmp_path / "model", model, example)


def test_a_scripted_model_is_refused(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted = torch.jit.script(nn.Linear(4, 2))
    with pytest.raises(
        InvalidArgument, match="an `nn.Module` is needed, whose code can be followed"
    ):
        export_program(tmp_path / "model.pt2", scripted, torch.zeros(1, 4))


def test_a_refused_model_leaves_nothing(tmp_path):
    with pytest.raises(NotExported):
        export_program(tmp_path / "model.pt2", Through(decides), torch.randn(3, 4))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_found_out_early(tmp_path):
    with pytest.raises(StorageFailure, match="it is a folder"):
        export_program(tmp_path, nn.Linear(4, 2), torch.zeros(1, 4))


def test_a_model_larger_than_a_file_of_onnx_is_refused(tmp_path):
    model = nn.Linear(4, 2)
    model.register_buffer("table", torch.zeros(1).expand(LARGEST // 4))
    with pytest.raises(InvalidArgument, match=r"take 2.1 GB, and a file of ONNX holds 2.1 GB"):
        export_onnx(tmp_path / "model.onnx", model, torch.zeros(1, 4))


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime", "onnxscript"])
def test_a_missing_package_names_the_extra(missing, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(InvalidArgument, match=rf"{missing}.*pip install 'surplus\[onnx\]'"):
        export_onnx(tmp_path / "model.onnx", nn.Linear(4, 2), torch.zeros(1, 4))
    assert export_program(tmp_path / "model.pt2", nn.Linear(4, 2), torch.zeros(1, 4)).batch is None


def test_a_compiled_model_is_exported(tmp_path):
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    compiled = torch.compile(model, backend="eager")
    assert export_program(tmp_path / "model.pt2", compiled, torch.randn(3, 4)).batch is None
    assert export_onnx(tmp_path / "model.onnx", compiled, torch.randn(3, 4)).batch is None


def test_outputs_that_are_apart_are_told():
    one = torch.tensor([1.0, 200.0])
    assert check_agreement(one, [one + 0.01]) == pytest.approx(0.01, rel=1e-2)
    with pytest.raises(
        NotExported, match="by up to 0.1 on the example, where outputs go up to 200"
    ):
        check_agreement(one, [one + 0.1])
    with pytest.raises(NotExported, match=r"tensors of shape \(2,\), its exported form \(1, 2\)"):
        check_agreement(one, [one[None]])
    with pytest.raises(
        NotExported, match=r"tensors of shape \(2,\), its exported form none at all"
    ):
        check_agreement(one, [])
    assert (
        check_agreement(
            (torch.tensor([3]), torch.tensor([True])), [torch.tensor([3]), torch.tensor([True])]
        )
        == 0
    )
    with pytest.raises(NotExported, match="by up to 1 on"):
        check_agreement(torch.tensor([True]), [torch.tensor([False])])
    infinite = torch.tensor([torch.inf, -torch.inf, 1.0])
    assert check_agreement(infinite, [infinite.clone()]) == 0
    with pytest.raises(NotExported):
        check_agreement(infinite, [infinite.neg()])


def test_a_program_opens_without_the_code(tmp_path):
    model, example = cut_half("vit")
    export_program(tmp_path / "model.pt2", model, example)
    program = torch.export.load(io.BytesIO((tmp_path / "model.pt2").read_bytes()))
    assert program.example_inputs is None
    assert set(program.state_dict) == set(model.state_dict())
