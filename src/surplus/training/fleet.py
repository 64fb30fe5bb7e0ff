"""The engine: replicas of one chain, trained as one batched model. A single run is a fleet of one."""

import copy
from collections.abc import Mapping, Sequence
from typing import final

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from surplus.base import InvalidArgument, Loss, Part, derive
from surplus.masks import Mask, on_weights
from surplus.passes import Performance, are_labels
from surplus.tasks.losses.cross_entropy import CROSS_ENTROPY
from surplus.training.arithmetic import compiled, precision
from surplus.training.forward import Forward
from surplus.training.groups import groups_of, lengths
from surplus.training.layout import crop, padded_layout, up
from surplus.training.rows import Rows, check_tensors
from surplus.training.spec import Training

EVALUATED = 1000  # examples per batch of an evaluation


@final
class Fleet:
    """Holds the parameters, buffers, masks and optimiser states of replicas, and takes steps with all of them.

    Parameters that require no gradient are kept with the buffers, and stay as they are.

    Args:
        models: The replicas' networks, alike but for their values; they are copied.
        trainings: How each is trained: alike but for learning rate and weight decay.
        seeds: The replicas' seeds, for dropout.
        device: Where the work is done.
        loss: What is made small.

    Raises:
        InvalidArgument: the networks are no chains, or differ in shape.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        trainings: Sequence[Training],
        seeds: Sequence[int],
        device: torch.device,
        loss: Loss = CROSS_ENTROPY,
    ) -> None:
        self.template = copy.deepcopy(models[0]).cpu().eval()
        self.training = trainings[0]
        self.device = device
        self.loss = loss
        self._seeds = list(seeds)
        optimizer, batch_size = self.training.optimizer, self.training.batch_size
        self._groups = groups_of(optimizer, batch_size, self.template)
        layout = padded_layout(self.template, lengths(self._groups))
        self._rows = Rows(layout, trainings, seeds, device)
        self._forward = Forward(self.template, layout.multiple)
        self._shapes = {name: tuple(t.shape) for name, t in self.template.state_dict().items()}
        self._classes = self._num_outputs()
        self._leaves = {
            name: view.detach().requires_grad_()
            for name, view in layout.views(self._rows.parameters).items()
        }
        self._gradient_views = list(layout.views(self._rows.gradients).values())
        self._buffers = {
            name: torch.stack([layout.pad(name, each)] * len(models)).to(device)
            for name, each in {
                **dict(self.template.named_buffers()),
                **_frozen(self.template),
            }.items()
        }
        for replica, model in enumerate(models):
            self.load(replica, dict(model.state_dict()))
        self._run = compiled(self._losses, self.training, device)

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
                # Copied, since kernels choose their instructions by the alignment of what they are given.
                lambda place, group: self._differentiate(
                    inputs[:, group].clone(memory_format=torch.contiguous_format),
                    targets[:, group],
                    step,
                    place,
                ),
            )
        with torch.no_grad():
            self._rows.update(losses, amount)

    @torch.no_grad()
    def performance(self, part: Part) -> list[Performance]:
        """Return the loss and accuracy of every replica on a part, in evaluation mode."""
        loss = torch.zeros(len(self), dtype=torch.float64)
        correct = torch.zeros(len(self), dtype=torch.int64)
        labelled = are_labels(part.targets)
        for start in range(0, len(part), EVALUATED):
            count = min(EVALUATED, len(part) - start)
            # A last short batch is filled up, so that its length is one that the padding was made for.
            index = torch.arange(start, start + up(count, 8), device=self.device) % len(part)
            inputs, targets = part.batch(index)
            inputs = inputs.expand(len(self), *inputs.shape)
            with precision(self.training, self.device):
                outputs = self._forward(inputs, self._leaves, self._buffers)
            outputs = outputs[:, : self._classes, :count].float()
            wanted = targets[:count].expand(len(self), *targets[:count].shape)
            loss += self.loss.of(outputs, wanted, "none").double().sum(1).cpu()
            if labelled:
                correct += (outputs.argmax(1) == wanted).sum(1).cpu()
        return [
            Performance(float(each) / len(part), int(right) if labelled else None, len(part))
            for each, right in zip(loss, correct, strict=True)
        ]

    def model(self, replica: int) -> nn.Module:
        """Return a copy of one replica as an ordinary module in evaluation mode, on the CPU."""
        model = copy.deepcopy(self.template)
        model.load_state_dict(self.tensors(replica))
        return model

    def tensors(self, replica: int) -> dict[str, Shaped[Tensor, "..."]]:
        """Return one replica's parameters and buffers by name, copied."""
        return {
            name: crop(each[replica].detach(), self._shapes[name]).to("cpu", copy=True)
            for name, each in {**self._leaves, **self._buffers}.items()
        }

    @torch.no_grad()
    def load(self, replica: int, tensors: Mapping[str, Shaped[Tensor, "..."]]) -> None:
        """Set one replica's parameters and buffers.

        Raises:
            InvalidArgument: a tensor is missing, has another shape, or is none of the network's.
        """
        check_tensors(tensors, self._shapes)
        for name, target in {**self._leaves, **self._buffers}.items():
            crop(target[replica], self._shapes[name]).copy_(tensors[name])

    @torch.no_grad()
    def set_mask(self, replica: int, mask: Mask) -> None:
        """Make one replica keep to a mask from now on: what it removes is zero, and so is its optimiser state."""
        weights = on_weights(self.template, mask)
        for name in weights.keys() & self._buffers.keys():  # frozen: once is enough
            frozen = crop(self._buffers[name][replica], self._shapes[name])
            frozen.masked_fill_(~weights[name].to(self.device), 0.0)
        self._rows.set_mask(
            replica, {name: weights[name] for name in weights.keys() & self._leaves.keys()}
        )

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
        leaves = list(self._leaves.values())
        losses = self._run(self._leaves, inputs, targets, *moment)
        gradients = torch.autograd.grad(losses.sum(), leaves)
        with torch.no_grad():
            torch._foreach_copy_(self._gradient_views, gradients)
        return losses.detach()

    def _losses(
        self,
        leaves: Mapping[str, Float[Tensor, "replicas ..."]],
        inputs: Float[Tensor, "replicas batch ..."],
        targets: Shaped[Tensor, "replicas batch ..."],
        *moment: int,
    ) -> Float[Tensor, " replicas"]:
        def noise(
            name: str, replica: int, like: Float[Tensor, "*features"]
        ) -> Float[Tensor, "*features"]:
            return self._draw(self._seeds[replica], name, moment, like)

        count = targets.shape[1]
        if count == 1:  # a lone example would take another kernel in a fleet of one
            inputs = inputs.expand(-1, 2, *inputs.shape[2:])
        with precision(self.training, self.device):
            outputs = self._forward(inputs, leaves, self._buffers, noise)
        outputs = outputs[:, : self._classes, :count].float()
        return self.loss.of(outputs, targets, "none").mean(1)

    def _draw(
        self, seed: int, name: str, moment: tuple[int, ...], like: Float[Tensor, "*features"]
    ) -> Float[Tensor, "*features"]:
        # Drawn on the CPU from a stream of its own, so that neither the device nor a resume changes it.
        generator = torch.Generator().manual_seed(derive(seed, "dropout", name, *moment))
        return torch.rand(like.shape, generator=generator).to(like.device)

    def _num_outputs(self) -> int:
        widths = [
            module.out_features
            for module in self.template.modules()
            if isinstance(module, nn.Linear)
        ]
        if not widths:
            raise InvalidArgument("The network has no dense layer that could be its output.")
        return widths[-1]


def _frozen(model: nn.Module) -> dict[str, Tensor]:
    return {
        name: each.detach() for name, each in model.named_parameters() if not each.requires_grad
    }
