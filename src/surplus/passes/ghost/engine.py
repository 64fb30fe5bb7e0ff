"""Per-example gradients from one ordinary forward and backward pass, without preparing the model."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge

from surplus.base import InvalidArgument
from surplus.passes.ghost.alone import Alone, OfOne, check_same
from surplus.passes.ghost.graph import Use, uses_of
from surplus.passes.ghost.kinds import Reading, read
from surplus.passes.ghost.layout import Layout, codes, layouts
from surplus.passes.ghost.loss import Loss, cross_entropies
from surplus.passes.ghost.pieces import Piece
from surplus.passes.ghost.products import Products
from surplus.passes.ghost.rows import Rows, matrix_rows
from surplus.passes.ghost.summed import Summed
from surplus.units import evaluating, left_as_found

PROBED = 2
"""Examples that are run first to learn which rows belong to which example."""
Found = Layout | None
Signature = tuple[Any, ...]


@final
class Passed:
    """What one batch gave: outputs, losses, and the gradients of each example in a form that is small."""

    def __init__(
        self,
        outputs: Any,
        losses: Float[Tensor, " batch"],
        pieces: dict[str, Piece],
        orders: dict[str, Callable[[], Piece]],
        sums: dict[str, Tensor] | None,
        held: int,
    ) -> None:
        self.outputs, self.losses, self.pieces = outputs, losses, pieces
        self._orders = orders
        self.held = held
        """The bytes of the gradients at the outputs of all operators that read parameters."""
        self.sums = sums
        """The gradients of the sum of the losses, where they were asked for."""

    def squared_norms(self) -> dict[str, Float[Tensor, " batch"]]:
        """Return the squared norm of each example's gradient, per parameter, in float64."""
        return {name: piece.squared_norms() for name, piece in self.pieces.items()}

    def gradients(self, name: str, examples: slice) -> Float[Tensor, " examples *shape"]:
        """Return the gradients of a parameter for some of the examples, in the parameter's own shape."""
        return self.ordered(name).gradients(examples)

    def ordered(self, name: str) -> Piece:
        """Return the gradients of a parameter with their values in its own order, as those of all batches can be."""
        return self._orders[name]()

    def dots(self, directions: Mapping[str, Tensor]) -> dict[str, Float[Tensor, " batch"]]:
        """Return the scalar product of each example's gradient with a direction, per parameter, in float64.

        Args:
            directions: What to multiply each parameter's gradients with, in its shape.
        """
        return {
            name: order().dots(directions[name].reshape(-1)) for name, order in self._orders.items()
        }

    def rows(
        self, positions: int | None, generator: torch.Generator
    ) -> tuple[dict[str, Rows], dict[str, str]]:
        """Return what each weight matrix received and what came back, row by row; see `matrix_rows`."""
        return matrix_rows(self.pieces, positions, generator)


@final
class Ghost:
    """Runs a model over batches and explains the gradient of each parameter, example by example.

    Nothing of the size of batch x parameters is formed: the gradient of a weight matrix is a sum over positions of
    (gradient at the output) x (input), both of which an ordinary backward pass has. They are found in the graph behind
    the loss, so the model needs no hooks and no preparation, and modules that are shared, or used twice, or are no
    modules at all are treated alike. Which rows belong to which example is measured: losses are weighted, and the
    gradients of each row must scale with the weight of one example. The gradients of parameters that are read by
    operators that are not known are found by running the examples alone. The results are exact in any case. Models run
    in evaluation mode and are left as they were; parameters that are frozen have no gradients.

    Args:
        model: The model, which is called with the inputs.
        loss: A loss per example, from outputs and targets.

    Reference: goodfellow2015efficient, Section 5.
    Convolutions and sequences by the cheaper of two ways, tied weights exactly, layouts found by measuring.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> passed = Ghost(nn.Linear(3, 2))(torch.ones(4, 3), torch.tensor([0, 0, 1, 1]))
        >>> norms = passed.squared_norms()
        >>> torch.allclose(norms["weight"], 3 * norms["bias"])
        True
    """

    def __init__(self, model: nn.Module, loss: Loss = cross_entropies) -> None:
        self.model, self.loss = model, loss
        self._known: dict[Signature, list[Found]] = {}

    def __call__(self, inputs: Tensor, targets: Tensor, *, sums: bool = False) -> Passed:
        """Run one batch.

        Args:
            inputs: The batch, examples first.
            targets: Its targets.
            sums: Also return the gradients of the sum of the losses.

        Raises:
            InvalidArgument: the model mixes the examples, or the loss is not one number per example.
        """
        model = self.model
        with torch.enable_grad(), evaluating(model), left_as_found(model):
            outputs, losses, uses, unknown = self._run(inputs, targets)
            readings = [read(use) for use in uses]
            found = self._layouts(inputs, targets, losses, uses, readings)
            edges = [GradientEdge(use.node, 0) for use in uses]
            wanted = {name: each for name, each in model.named_parameters() if each.requires_grad}
            asked = [*edges, *(wanted.values() if sums else ())]
            deltas = _gradients(losses, asked)
        total = None
        if sums:
            total = {
                name: torch.zeros_like(each) if delta is None else delta
                for (name, each), delta in zip(wanted.items(), deltas[len(uses) :], strict=True)
            }
        pieces: dict[str, list[Piece] | None] = {name: [] for name in wanted}
        pieces.update(dict.fromkeys(unknown, None))
        count = len(losses)
        with torch.no_grad():
            for use, reading, layout, delta in zip(uses, readings, found, deltas, strict=False):
                _add(pieces, use, reading, layout, delta, count)
            named = self._joined(pieces, uses, inputs, targets, losses.detach(), wanted)
        orders = {
            name: _order(piece, name, uses, each, count)
            for (name, each), piece in zip(wanted.items(), named.values(), strict=True)
        }
        held = sum(each.nbytes for each in deltas[: len(uses)] if each is not None)
        return Passed(_detached(outputs), losses.detach(), named, orders, total, held)

    def _run(self, inputs: Tensor, targets: Tensor) -> tuple[Any, Tensor, list[Use], set[str]]:
        outputs = self.model(inputs)
        losses = self.loss(outputs, targets)
        if losses.dim() != 1:
            raise InvalidArgument(
                f"`loss` returns a tensor of shape {tuple(losses.shape)}; it must return one number per example,"
                ' [batch]: a loss of torch does so with `reduction="none"`.'
            )
        if losses.grad_fn is None:
            raise InvalidArgument(
                "The loss depends on no parameter that has gradients: all are frozen, or the model detaches its"
                " outputs."
            )
        return outputs, losses, *uses_of(losses, self.model)

    def _layouts(
        self,
        inputs: Tensor,
        targets: Tensor,
        losses: Tensor,
        uses: list[Use],
        readings: list[Reading | None],
    ) -> list[Found]:
        """Return which elements belong to which example, per use; None where that is no layout."""
        count = len(losses)
        if count == 1:
            return [Layout(1, -1)] * len(uses)
        signature = (tuple(inputs.shape[1:]), *(use.signature for use in uses))
        known = self._known.get(signature)
        if known is None and count > PROBED and len(inputs) == count:
            known = self._probed(inputs[:PROBED], targets[:PROBED], losses[:PROBED], signature)
            if known is not None:
                self._known[signature] = known
        if known is None:
            known = [each[0] if each else None for each in _measured(losses, uses, readings)]
        return known

    def _probed(
        self, inputs: Tensor, targets: Tensor, losses: Tensor, signature: Signature
    ) -> list[Found] | None:
        """Learn the layouts on a few examples; None where these leave a doubt, or run otherwise."""
        try:
            _, alone, uses, _ = self._run(inputs.clone(), targets)
        except (RuntimeError, ValueError):
            return None  # a model for batches of one size
        check_same(alone, losses)
        if tuple(use.signature for use in uses) != signature[1:]:
            return None
        measured = _measured(alone, uses, [read(use) for use in uses])
        if any(len(each) > 1 for each in measured):
            return None
        return [each[0] if each else None for each in measured]

    def _joined(
        self,
        pieces: dict[str, list[Piece] | None],
        uses: list[Use],
        inputs: Tensor,
        targets: Tensor,
        losses: Tensor,
        wanted: dict[str, nn.Parameter],
    ) -> dict[str, Piece]:
        """Return one piece per parameter."""
        unexplained = [name for name, each in pieces.items() if each is None]
        alone = Alone(self.model, inputs, targets, self.loss, losses, unexplained)
        named: dict[str, Piece] = {}
        for name, parameter in wanted.items():
            found = pieces[name]
            if found is None:
                named[name] = OfOne(alone, name)
            elif len(found) == 1:
                named[name] = found[0]
            else:
                readers = [use for use in uses if use.parameter == name]
                places = [use.positions(parameter) for use in readers]
                named[name] = _together(found, places, parameter, len(losses))
        return named


def squared_norms(
    model: nn.Module, inputs: Tensor, targets: Tensor, loss: Loss = cross_entropies
) -> dict[str, Float[Tensor, " batch"]]:
    """Return the squared norm of each example's gradient, per parameter; see `Ghost`.

    Example:
        >>> found = squared_norms(nn.Linear(1, 2), torch.zeros(3, 1), torch.tensor([0, 1, 1]))
        >>> found["weight"].tolist()
        [0.0, 0.0, 0.0]
    """
    return Ghost(model, loss)(inputs, targets).squared_norms()


def _measured(
    losses: Tensor, uses: list[Use], readings: list[Reading | None]
) -> list[list[Layout]]:
    """Return all layouts that are possible for each use, at most two."""
    weights = codes(len(losses)).to(losses)
    edges = [GradientEdge(use.node, 0) for use in uses]
    plain = _gradients(losses, edges, None, retain=True)
    weighted = [_gradients(losses, edges, each, retain=True) for each in weights]
    found: list[list[Layout]] = []
    for place, reading in enumerate(readings):
        delta = plain[place]
        if reading is None:
            found.append([])
            continue
        if delta is None:
            found.append([Layout(0, 0)])
            continue
        arranged = reading.arrange(delta)
        others = [reading.arrange(each[place]) for each in weighted]
        possible = layouts(arranged, others, weights, reading.together(arranged))
        found.append([layout for layout, _ in zip(possible, range(2), strict=False)])
    return found


def _gradients(
    losses: Tensor, asked: Sequence[Any], weights: Tensor | None = None, retain: bool = False
) -> list[Any]:
    if not asked:
        return []
    given = torch.ones_like(losses) if weights is None else weights
    found = torch.autograd.grad(losses, asked, given, retain_graph=retain, allow_unused=True)
    # Of an operator that got no rows nothing comes back.
    return [None if each is None or each.numel() == 0 else each for each in found]


def _add(
    pieces: dict[str, list[Piece] | None],
    use: Use,
    reading: Reading | None,
    layout: Found,
    delta: Tensor | None,
    count: int,
) -> None:
    """In place: enter the gradients of one use; where they cannot be told apart, the parameter is left to others."""
    present = pieces.get(use.parameter)
    if present is None:
        return
    piece: Piece | None = None
    if delta is None:
        piece = Summed([], [], torch.zeros(use.shape), count)
    elif reading is not None and layout is not None:
        arranged = reading.arrange(delta)
        layout = Layout(1, arranged.numel()) if count == 1 else layout
        if layout.fits(arranged, count):
            piece = reading.piece(arranged, layout, count)
    if piece is None:
        pieces[use.parameter] = None
    else:
        present.append(piece)


def _together(found: list[Piece], places: list[Tensor], parameter: Tensor, count: int) -> Piece:
    """Return the sum over the uses of a parameter; uses of the same kind are more positions of one."""
    products = [each for each in found if isinstance(each, Products)]
    alike = found and len(products) == len(found)
    first = products[0] if products else None
    if first is not None and alike:
        same = all(
            each.columns_first == first.columns_first
            and each.shape == first.shape
            and each.groups == first.groups
            and torch.equal(place, places[0])
            for each, place in zip(products, places, strict=True)
        )
        if same:
            parts = [part for each in products for part in each.parts]
            return Products(parts, first.shape, first.columns_first)
    return Summed(found, places, parameter, count)


def _order(
    piece: Piece, name: str, uses: list[Use], parameter: Tensor, count: int
) -> Callable[[], Piece]:
    """Return what brings the gradients of a parameter into its own order."""
    readers = [use for use in uses if use.parameter == name]
    if isinstance(piece, Summed | OfOne) or not readers:
        return lambda: piece
    return lambda: Summed([piece], [readers[0].positions(parameter)], parameter, count)


def _detached(outputs: Any) -> Any:
    return outputs.detach() if isinstance(outputs, Tensor) else outputs
