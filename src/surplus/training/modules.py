"""The engine for networks that are no chains: replicas trained one after the other, each an ordinary module."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import final

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from surplus.base import InvalidArgument, Loss, Part, derive
from surplus.masks import Mask, on_weights
from surplus.passes import Performance, performance
from surplus.tasks.losses.cross_entropy import CROSS_ENTROPY
from surplus.training.arithmetic import compiled, precision
from surplus.training.groups import groups_of
from surplus.training.layout import Layout, trained
from surplus.training.rows import Rows, check_tensors
from surplus.training.spec import Training
from surplus.units import copied


@final
class Modules:
    """Holds a module for each replica, whose parameters are views of the rows that the optimiser works on.

    In each step a module runs in training mode as it is, with the random stream set from the seed and the step, so that
    what it draws (dropout, skipped blocks) does not depend on its siblings or on a resume. Normalisations keep their
    running statistics as usual. State that a module changes while it runs and does not list in its `state_dict` would
    be lost in a resume. Frozen parameters stay as they are. A parameter without gradient counts as one with gradient
    zero; torch's optimisers would not decay it.

    Args:
        models: The replicas' networks, alike but for their values; they are copied.
        trainings: How each is trained: alike but for learning rate and weight decay.
        seeds: The replicas' seeds, for what the networks draw.
        device: Where the work is done.
        loss: What is made small.

    Raises:
        InvalidArgument: the networks differ in shape, have nothing to train, or hold something that cannot be trained
            or kept here.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        trainings: Sequence[Training],
        seeds: Sequence[int],
        device: torch.device,
        loss: Loss = CROSS_ENTROPY,
    ) -> None:
        self.template = copied(models[0]).cpu().eval()
        self.training = trainings[0]
        self.device = device
        self.loss = loss
        self._seeds = list(seeds)
        _check(self.template)
        optimizer, batch_size = self.training.optimizer, self.training.batch_size
        self._groups = groups_of(optimizer, batch_size, self.template)
        self._shapes = {name: tuple(t.shape) for name, t in self.template.state_dict().items()}
        self._rows = Rows(Layout(trained(self.template)), trainings, seeds, device)
        self._modules = []
        for replica, model in enumerate(models):
            check_tensors(model.state_dict(), self._shapes)
            module = copied(model).to(device).train()
            for name, view in self._views(self._rows.parameters, replica).items():
                parameter = module.get_parameter(name)
                parameter.data = view.copy_(parameter.detach())
            self._modules.append(module)
        self._leaves = [list(trained(module).values()) for module in self._modules]
        self._gradient_views = [
            list(self._views(self._rows.gradients, replica).values())
            for replica in range(len(models))
        ]
        self._runs = [compiled(module, self.training, device) for module in self._modules]

    def __len__(self) -> int:
        return len(self._seeds)

    @property
    def loss_count(self) -> int:
        """The number of updates since the losses were last taken."""
        return self._rows.loss_count

    def step(
        self,
        step: int,
        inputs: Float[Tensor, "replicas batch ..."],
        targets: Shaped[Tensor, "replicas batch ..."],
        amount: float,
    ) -> None:
        """Update every replica once, from the state at `step` to that at `step + 1`.

        Args:
            step: The step before the update.
            inputs: A batch for each replica.
            targets: What is wanted of each.
            amount: The schedule's factor on the learning rate.
        """
        if len(self._groups) == 1:
            losses = self._differentiate(inputs, targets, step)
        else:
            losses = self._rows.gather(
                self._groups,
                lambda place, group: self._differentiate(
                    inputs[:, group], targets[:, group], step, place
                ),
            )
        with torch.no_grad():
            self._rows.update(losses, amount)

    def performance(self, part: Part) -> list[Performance]:
        """Return the loss and accuracy of every replica on a part, in evaluation mode."""
        found = []
        for seed, module in zip(self._seeds, self._modules, strict=True):
            with self._drawing(derive(seed, "evaluation")), precision(self.training, self.device):
                found.append(performance(module, part, self.loss))
        return found

    def model(self, replica: int) -> nn.Module:
        """Return a copy of one replica as an ordinary module in evaluation mode, on the CPU."""
        module = self._modules[replica]
        # A copy of a view would copy the rows of all replicas.
        replaced = {
            id(each): nn.Parameter(each.detach().clone(), each.requires_grad)
            for each in module.parameters()
        }
        return copied(module, replaced).cpu().eval()

    def tensors(self, replica: int) -> dict[str, Shaped[Tensor, "..."]]:
        """Return one replica's parameters and buffers by name, copied."""
        state = self._modules[replica].state_dict()
        return {name: each.detach().to("cpu", copy=True) for name, each in state.items()}

    @torch.no_grad()
    def load(self, replica: int, tensors: Mapping[str, Shaped[Tensor, "..."]]) -> None:
        """Set one replica's parameters and buffers.

        Raises:
            InvalidArgument: a tensor is missing, has another shape, or is none of the network's.
        """
        check_tensors(tensors, self._shapes)
        for name, target in self._modules[replica].state_dict().items():
            target.copy_(tensors[name])

    @torch.no_grad()
    def set_mask(self, replica: int, mask: Mask) -> None:
        """Make one replica keep to a mask from now on: what it removes is zero, and so is its optimiser state."""
        weights = on_weights(self.template, mask)
        places = {place.name for place in self._rows.layout.places}
        for name in weights.keys() - places:  # frozen: once is enough
            frozen = self._modules[replica].get_parameter(name)
            frozen.masked_fill_(~weights[name].to(self.device), 0.0)
        self._rows.set_mask(replica, {name: weights[name] for name in weights.keys() & places})

    def optimizer_tensors(self, replica: int) -> dict[str, Shaped[Tensor, "..."]]:
        """Return one replica's optimiser state by slot and parameter, with its count of updates."""
        return self._rows.state(replica)

    @torch.no_grad()
    def load_optimizer(self, replica: int, tensors: Mapping[str, Shaped[Tensor, "..."]]) -> None:
        """Set one replica's optimiser state."""
        self._rows.load_state(replica, tensors)

    def take_losses(self) -> list[float]:
        """Return each replica's mean training loss since the last call, and begin anew."""
        return self._rows.take_losses()

    def _differentiate(
        self,
        inputs: Float[Tensor, "replicas batch ..."],
        targets: Shaped[Tensor, "replicas batch ..."],
        *moment: int,
    ) -> Float[Tensor, " replicas"]:
        """Fill the gradients' rows by those of the mean losses, and return these."""
        losses = []
        for replica, leaves in enumerate(self._leaves):
            with self._drawing(derive(self._seeds[replica], "noise", *moment)):
                loss = self._loss(replica, inputs[replica], targets[replica])
                gradients = torch.autograd.grad(loss, leaves, materialize_grads=True)
            torch._foreach_copy_(self._gradient_views[replica], gradients)
            losses.append(loss.detach())
        return torch.stack(losses)

    def _loss(
        self, replica: int, inputs: Float[Tensor, "batch ..."], targets: Shaped[Tensor, "batch ..."]
    ) -> Float[Tensor, ""]:
        # Copied, since kernels choose their instructions by the alignment of what they are given, and since a layer
        # that works in place must not write into the batch of all.
        inputs = inputs.clone()
        with precision(self.training, self.device):
            outputs = self._runs[replica](inputs)
        if not isinstance(outputs, Tensor) or outputs.dim() != 2:
            found = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
            raise InvalidArgument(
                f"The network returns {found}; to be trained it must return one row of class scores for each example,"
                " a tensor of shape (batch, classes)."
            )
        return self.loss.of(outputs.float(), targets)

    def _views(
        self, rows: Float[Tensor, "replicas params"], replica: int
    ) -> dict[str, Float[Tensor, "..."]]:
        return {name: view[replica] for name, view in self._rows.layout.views(rows).items()}

    @contextmanager
    def _drawing(self, seed: int) -> Iterator[None]:
        """Set torch's random streams while the context lasts, and leave them as they were found."""
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            yield


def _check(model: nn.Module) -> None:
    for name, each in model.named_parameters():
        if each.dtype != torch.float32:
            raise InvalidArgument(
                f"`{name}` is {each.dtype}; training works on float32. Convert the network: `model.float()`."
            )
    for name, value in model.state_dict().items():
        if not isinstance(value, Tensor):
            raise InvalidArgument(
                f"The network's state holds `{name}`, a {type(value).__name__}; snapshots hold tensors only."
            )
