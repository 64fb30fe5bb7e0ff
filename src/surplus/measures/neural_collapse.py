"""Neural collapse: whether the features of a class become one point, and these points a symmetric frame."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from surplus.base import InvalidArgument, register
from surplus.measures.finding import Finding
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.untreated import Untreated, per_layer, untreated
from surplus.passes import sampled, share_estimate
from surplus.passes.collapse import (
    distance_normalised_variances,
    frame_distance,
    not_dual,
    predicted_strengths,
    simplex,
    unequal_angles,
    unequal_lengths,
    within_to_between,
)
from surplus.passes.statistics import ClassSums, chunks, refusal, runs_of
from surplus.units import evaluating, left_as_found


@register("neural-collapse")
@dataclass(frozen=True, kw_only=True, slots=True)
class NeuralCollapse(Measure):
    r"""State the four signs of neural collapse, all 0 where it is complete, on what the last linear layer receives.

    With class means m_c, shares n_c / n of the examples, the mean m of all examples, and the layer's weights w_c:

    - `nc1_within_to_between`: tr(S_W S_B^+), S_W the covariance within classes, S_B that of the class means with the
      weights n_c / n, of rank C - 1; not divided by C;
    - `nc2_..._unequal_lengths`: standard deviation over mean of ||m_c - m|| and of ||w_c||;
    - `nc2_..._unequal_angles`: mean over pairs of |cos + 1 / (C - 1)|;
    - `nc3_not_dual`: ||W / ||W||_F - M / ||M||_F||_F^2 with the rows m_c - m in M;
    - `nc4_disagreement`: on which share of the examples the layer and the nearest class mean decide differently.

    Where classes differ in size, the optimum may be another frame. So the distances of Gram matrices, at unit norm, are
    stated from a simplex (of the means around their unweighted mean), from orthogonal vectors of one length (of the
    means as they are; there also `nc3_not_dual_uncentred`), and, if the regularisation is given, from orthogonal
    vectors of the lengths that it predicts. `mean_distance_normalised_variance` is over all pairs of classes, beside
    the largest. Covariances are divided by the number of examples, standard deviations by that of classes. The network
    runs in evaluation mode.

    For every layer, `within_to_between_variance` is tr(S_W) / tr(S_B) of its features, units' means over positions.

    Reference: papyan2020prevalence, for NC1 to NC4; dang2023neural, for classes of different sizes; galanti2022role,
    for the variances of pairs.
    """

    references: ClassVar = ("papyan2020prevalence", "dang2023neural", "galanti2022role")
    needs: ClassVar = ("activations", "labels")

    num_examples: int = 2000
    """On how many examples, drawn by the seed, the layer and the nearest class mean are compared."""
    weight_regularisation: float | None = None
    """The factor of ||W||^2 / 2 beside squared errors over 2 n, of the last layer; predicts lengths with the next."""
    feature_regularisation: float | None = None
    """The factor of ||H||^2 / 2, of the features of all examples."""

    def __post_init__(self) -> None:
        if (self.weight_regularisation is None) != (self.feature_regularisation is None):
            raise InvalidArgument(
                "`weight_regularisation` and `feature_regularisation` predict lengths only together; one is missing."
            )

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield the signs for what the last layer receives, then one number for every layer."""
        try:
            last, _ = seen.classifier
            yield from per_layer((last,), lambda _: self._signs(seen))
        except Untreated as reason:
            yield untreated(str(reason))
        yield from per_layer(seen.names, lambda name: _variances(seen.class_sums(name)))

    def _signs(self, seen: Observed) -> Iterator[Finding]:
        _, module = seen.classifier
        sums = seen.readout
        present = sums.counts.nonzero()[:, 0]
        if len(sums.counts) > module.out_features:
            raise Untreated(
                f"labels go up to {len(sums.counts) - 1}, beyond its {module.out_features} outputs"
            )
        if len(present) < 2:
            raise Untreated("the data have fewer than two classes")
        counts, means = sums.counts[present], sums.means[present]
        W = module.weight.detach().double().cpu()[present]
        assert sums.within is not None
        n = int(counts.sum())
        apart = means - counts @ means / n
        if bool((apart.norm(dim=1) <= 1e-12 * means.norm()).all()):
            raise Untreated("what it receives is on average the same for all classes")
        for each in (
            *_collapsed(sums.within / n, apart, counts / n),
            *_frames(means, apart, W),
            *self._predicted(means, W, counts),
            *_pairs(means, sums.scatter[present] / counts),
        ):
            yield replace(each, n=n)
        yield self._decisions(seen, means, present, n)

    def _predicted(
        self,
        means: Float[Tensor, "classes width"],
        W: Float[Tensor, "classes width"],
        counts: Float[Tensor, " classes"],
    ) -> Iterator[Finding]:
        """Yield the distances from orthogonal frames whose lengths follow from the regularisation."""
        if self.weight_regularisation is None or self.feature_regularisation is None:
            return
        strengths = predicted_strengths(
            counts, self.weight_regularisation, self.feature_regularisation
        )
        for name, vectors, squares in (
            ("means", means, strengths / counts),
            ("weights", W, strengths),
        ):
            quantity = f"nc2_{name}_to_predicted_frame"
            if not bool(strengths.any()):
                note = "so much regularisation leaves no class"
                yield Finding(quantity=quantity, value=None, note=note)
            else:
                distance = frame_distance(vectors, squares.diag())
                yield Finding(quantity=quantity, value=distance)

    def _decisions(
        self,
        seen: Observed,
        means: Float[Tensor, "classes width"],
        present: Int[Tensor, " classes"],
        total: int,
    ) -> Finding:
        """Return how often the layer and the nearest class mean decide differently."""
        _, module = seen.classifier
        sample = sampled(seen.examples(), self.num_examples, seen.seed)
        differ = count = 0
        with torch.no_grad(), evaluating(seen.model), left_as_found(seen.model):
            for inputs, _ in chunks(sample, seen.model):
                with runs_of(module) as runs:
                    seen.model(inputs)
                if (reason := refusal(runs, len(inputs))) is not None:
                    raise Untreated(reason)
                features, scores = runs[0]
                apart = torch.cdist(
                    features.double().cpu(), means, compute_mode="donot_use_mm_for_euclid_dist"
                )
                nearest = present[apart.argmin(1)]
                differ += int((nearest != scores.argmax(1).cpu()).sum())
                count += len(inputs)
        quantity = "nc4_disagreement"
        if count == total:
            return Finding(quantity=quantity, value=differ / count, n=count)
        share = share_estimate(differ, count)
        return Finding(
            quantity=quantity,
            value=share.value,
            lower=share.lower,
            upper=share.upper,
            n=count,
            seed=seen.seed,
        )


def _collapsed(
    within: Float[Tensor, "width width"],
    apart: Float[Tensor, "classes width"],
    shares: Float[Tensor, " classes"],
) -> Iterator[Finding]:
    """Yield what is left of the features within classes, and how many directions the class means take."""
    ratio, rank = within_to_between(within, apart, shares)
    yield Finding(quantity="nc1_within_to_between", value=ratio)
    yield Finding(quantity="rank_between_classes", value=rank)


def _frames(
    means: Float[Tensor, "classes width"],
    apart: Float[Tensor, "classes width"],
    W: Float[Tensor, "classes width"],
) -> Iterator[Finding]:
    """Yield how far class means and weights are from regular frames, and from each other."""
    simplex_frame, orthogonal = simplex(len(W)), torch.eye(len(W), dtype=torch.float64)
    if not bool(W.any()):
        yield Finding(quantity="nc3_not_dual", value=None, note="its weights are all zero")
        return
    for name, centred, balanced, plain in (
        ("means", apart, means - means.mean(0), means),
        ("weights", W, W, W),
    ):
        yield Finding(quantity=f"nc2_{name}_unequal_lengths", value=unequal_lengths(centred))
        yield Finding(quantity=f"nc2_{name}_unequal_angles", value=unequal_angles(centred))
        to_simplex = frame_distance(balanced, simplex_frame)
        yield Finding(quantity=f"nc2_{name}_to_simplex", value=to_simplex)
        to_orthogonal = frame_distance(plain, orthogonal)
        yield Finding(quantity=f"nc2_{name}_to_orthogonal", value=to_orthogonal)
    yield Finding(quantity="nc3_not_dual", value=not_dual(W, apart))
    yield Finding(quantity="nc3_not_dual_uncentred", value=not_dual(W, means))


def _pairs(
    means: Float[Tensor, "classes width"], variances: Float[Tensor, " classes"]
) -> Iterator[Finding]:
    """Yield how far classes overlap, two at a time."""
    values = distance_normalised_variances(means, variances)
    if not bool(values.isfinite().all()):
        note = "two classes have the same mean"
        quantity = "largest_distance_normalised_variance"
        yield Finding(quantity=quantity, value=None, note=note)
        return
    mean, largest = float(values.mean()), float(values.max())
    yield Finding(quantity="mean_distance_normalised_variance", value=mean)
    yield Finding(quantity="largest_distance_normalised_variance", value=largest)


def _variances(sums: ClassSums) -> Iterator[Finding]:
    """Yield the variance of a layer's features within classes over that between them."""
    n = float(sums.counts.sum())
    between = float(sums.counts @ (sums.means - sums.sums.sum(0) / n).square().sum(1))
    scale = float(sums.counts @ sums.means.square().sum(1))
    if between <= 1e-24 * scale:
        note = "its features are on average the same for all classes"
        yield Finding(quantity="within_to_between_variance", value=None, note=note)
        return
    value = float(sums.scatter.sum()) / between
    yield Finding(quantity="within_to_between_variance", value=value, n=int(n))
