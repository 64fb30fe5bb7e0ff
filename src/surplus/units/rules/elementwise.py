"""Element-wise operators: they unite the units that meet in one element."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_leaves

from surplus.units.flow import Flow
from surplus.units.labels import Carried, Label, aligned, viewed

FIXED = "they are combined with a tensor of fixed size"
PRODUCTS = {"mul", "mul_"}
QUOTIENTS = {"div", "div_"}
SUMS = {"add", "add_", "sub", "sub_", "rsub", "maximum", "minimum", "where", "lerp"}
KEEPING_ZERO = {
    "relu", "gelu", "silu", "tanh", "leaky_relu", "elu", "hardswish", "mish", "abs", "neg", "sqrt", "sin", "erf",
    "clone", "_to_copy", "sign", "_prelu_kernel", "alias", "expm1", "atan", "sinh", "asinh", "square", "detach",
    "hardshrink", "softshrink", "log1p", "tan", "selu", "celu", "positive",
}  # fmt: skip


def tensors_in(arguments: Any) -> list[Tensor]:
    """Return all tensors among an operator's arguments."""
    return [each for each in tree_leaves(arguments) if isinstance(each, Tensor)]


def elementwise(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Unite what meets; a unit that meets a tensor of fixed size stays."""
    carried = combined(flow, operator, args, tensors_in((args, kwargs)), outputs[0].shape)
    return [carried for _ in outputs]


def combined(
    flow: Flow, operator: Any, args: Sequence[Any], operands: Sequence[Tensor], shape: Sequence[int]
) -> Carried:
    """Return what the element-wise combination of tensors carries."""
    name = operator._schema.name.removeprefix("aten::")
    known = [flow.of(each) for each in operands]
    labels = [
        _with_zero(aligned(label, len(shape)), name, place, args)
        for place, carried in enumerate(known)
        for label in carried.labels
    ]
    if all(carried.weight for carried in known):  # a weight times its mask is that weight
        labels.sort(key=lambda label: flow.name_of(label) not in flow.parameters)
    product = name in PRODUCTS | QUOTIENTS
    result = flow.merge(labels, FIXED, product)
    result = _beside_fixed(flow, result, operands, known, len(shape))
    if not product:
        result = tuple(
            Label(each.ids, each.zero and _all_zero(each, known, len(shape))) for each in result
        )
    return Carried(
        result,
        weight=bool(known) and all(carried.weight for carried in known),
        wild=bool(known) and not result and all(carried.wild for carried in known),
    )


def _with_zero(label: Label, name: str, place: int, args: Sequence[Any]) -> Label:
    """Say whether an operand's zeros make zeros in the result, as far as this operand goes."""
    if name in PRODUCTS | SUMS:
        scalar = name in SUMS - {"where"} and any(
            isinstance(each, int | float) and each for each in args[:2]
        )
        return Label(label.ids, label.zero and not scalar)
    if name in QUOTIENTS:
        return Label(label.ids, label.zero and place == 0)
    power = name in ("pow", "pow_") and isinstance(args[1], int | float) and args[1] > 0
    bounds = name in ("hardtanh", "hardtanh_")
    return Label(
        label.ids, label.zero and (name.removesuffix("_") in KEEPING_ZERO or power or bounds)
    )


def _all_zero(label: Label, known: Sequence[Carried], dim: int) -> bool:
    """Say whether every operand is zero where a removed unit is: a sum is zero only then."""
    return all(
        any(set(aligned(each, dim).axes) & set(label.axes) and each.zero for each in carried.labels)
        for carried in known
    )


def _beside_fixed(
    flow: Flow,
    labels: tuple[Label, ...],
    operands: Sequence[Tensor],
    known: Sequence[Carried],
    dim: int,
) -> tuple[Label, ...]:
    """Freeze every axis along which an operand has a length of its own and no unit."""
    for operand, carried in zip(operands, known, strict=True):
        first = dim - operand.dim()
        if carried.wild:
            continue
        covered = {axis for label in carried.labels for axis in aligned(label, dim).axes}
        axes = [first + axis for axis, size in enumerate(operand.shape) if size > 1]
        fixed = [axis for axis in axes if axis not in covered]
        frozen = (flow.freeze(each, fixed, FIXED) for each in labels)
        labels = tuple(each for each in frozen if each is not None)
    return labels


def gated(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Multiply one half of an axis by the sigmoid of the other (GLU)."""
    source = args[0]
    axis = (args[1] if len(args) > 1 else kwargs.get("dim", -1)) % source.dim()
    labels: list[Label] = []
    for label in flow.of(source).labels:
        halves = viewed(label, source.shape, lambda ids: ids.chunk(2, axis))
        if axis in label.axes:
            pieces = tuple(ids.reshape(-1) for ids in label.ids.chunk(2, axis))
            flow.atoms.even(pieces, flow.because("they are taken apart in two halves"))
        labels += [Label(half.ids, label.zero) for half in halves if half is not None]
    return [Carried(flow.merge(labels, FIXED, product=True))]


def random(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Draw a number for each element: fewer elements get others, so that nothing could be compared."""
    if operator._schema.name == "aten::native_dropout" and args[2] is False:
        return elementwise(flow, operator, args, kwargs, outputs)
    flow.protect(flow.of(args[0]), "random numbers are drawn for them")
    return [Carried() for _ in outputs]


def copied(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Return what `copy_` writes: the source, broadcast."""
    carried = flow.of(args[1])
    labels = tuple(aligned(label, outputs[0].dim()) for label in carried.labels)
    return [Carried(labels, carried.weight, carried.wild)]


# Those that torch does not mark as element-wise.
UNMARKED = (
    "_to_copy",
    "hardsigmoid",
    "softplus",
    "log_sigmoid_forward",
    "complex",
    "polar",
    "floor_divide",
    "fake_quantize_per_tensor_affine_cachemask",
    "_fake_quantize_per_tensor_affine_cachemask_tensor_qparams",
)
RULES = dict.fromkeys((*KEEPING_ZERO, *UNMARKED), elementwise)
RULES |= {"copy_": copied, "glu": gated}
RULES |= dict.fromkeys(("native_dropout", "bernoulli", "rrelu_with_noise"), random)
