"""Neural collapse: complete on planted features, else as loops say, and as predicted where classes differ in size."""

import math

import pytest
import torch
from torch import nn

from planted import TinyConv, TinyMLP, batches, shaken
from surplus.base import InvalidArgument
from surplus.measures import NeuralCollapse, findings, observed
from surplus.passes.statistics import ClassSums
from surplus.units import find_units


def seen_by(model, data, measure=None, **more):
    measure = NeuralCollapse() if measure is None else measure
    return observed(model, find_units(model, data[0][0][:2]), (measure,), data, **more)


def rows(model, data, measure=None, **more):
    measure = NeuralCollapse() if measure is None else measure
    return [each for _, each in findings(seen_by(model, data, measure, **more), (measure,))]


def found(model, data, measure=None, **more):
    return {each.quantity: each.value for each in rows(model, data, measure, **more)}


def free_features(H, W, labels, bias=None):
    """A network that receives its features as they are, and their data in batches."""
    model = nn.Sequential(nn.Identity(), nn.Linear(H.shape[1], len(W), bias=bias is not None))
    model.double()
    with torch.no_grad():
        model[1].weight.copy_(W)
        if bias is not None:
            model[1].bias.copy_(bias)
    return model, list(zip(H.split(7), labels.split(7), strict=True))


def oracle(H, W, bias, labels):
    """The definitions in loops."""
    n, classes = len(H), sorted(set(labels.tolist()))
    mean = H.mean(0)
    of = {label: H[labels == label] for label in classes}
    means = {label: each.mean(0) for label, each in of.items()}
    within, between = torch.zeros(2, H.shape[1], H.shape[1], dtype=torch.float64)
    for features, label in zip(H, labels.tolist(), strict=True):
        within += torch.outer(features - means[label], features - means[label]) / n
    for label, each in of.items():
        between += len(each) / n * torch.outer(means[label] - mean, means[label] - mean)
    M = torch.stack([means[label] - mean for label in classes])
    kept = W[classes]
    size = len(classes)
    numbers = {
        "nc1_within_to_between": float((within @ torch.linalg.pinv(between, rtol=1e-10)).trace())
    }
    for name, vectors in (("means", M), ("weights", kept)):
        lengths = [float(each.norm()) for each in vectors]
        average = sum(lengths) / size
        numbers[f"nc2_{name}_unequal_lengths"] = (
            math.sqrt(sum((each - average) ** 2 for each in lengths) / size) / average
        )
        numbers[f"nc2_{name}_unequal_angles"] = sum(
            abs(float(vectors[i] @ vectors[j]) / lengths[i] / lengths[j] + 1 / (size - 1))
            for i in range(size)
            for j in range(size)
            if i != j
        ) / (size * (size - 1))
    numbers["nc3_not_dual"] = sum(
        (a / float(kept.norm()) - b / float(M.norm())) ** 2
        for a, b in zip(kept.flatten().tolist(), M.flatten().tolist(), strict=True)
    )
    differ = 0
    for features in H:
        scores = W @ features + bias
        nearest = min(classes, key=lambda label: float((features - means[label]).norm()))
        differ += int(scores.argmax()) != nearest
    numbers["nc4_disagreement"] = differ / n
    variances = {
        label: float((each - means[label]).square().sum(1).mean()) for label, each in of.items()
    }
    pairs = [
        (variances[a] + variances[b]) / (2 * float((means[a] - means[b]).norm()) ** 2)
        for a in classes
        for b in classes
        if a < b
    ]
    numbers["mean_distance_normalised_variance"] = sum(pairs) / len(pairs)
    numbers["largest_distance_normalised_variance"] = max(pairs)
    return numbers


@pytest.mark.parametrize("sizes", [(20, 20, 20), (31, 12, 5), (30, 0, 12, 9)])
def test_is_what_the_definitions_say(sizes):
    """Balanced, imbalanced, and with a class that has no examples."""
    generator = torch.Generator().manual_seed(sum(sizes))
    labels = torch.cat([torch.full((size,), label) for label, size in enumerate(sizes)])
    labels = labels[torch.randperm(len(labels), generator=generator)]
    centres = torch.randn(len(sizes), 6, dtype=torch.float64, generator=generator)
    H = centres[labels] + 0.7 * torch.randn(
        len(labels), 6, dtype=torch.float64, generator=generator
    )
    W = torch.randn(len(sizes), 6, dtype=torch.float64, generator=generator)
    bias = torch.randn(len(sizes), dtype=torch.float64, generator=generator)
    model, data = free_features(H, W, labels, bias)
    numbers, expected = found(model, data), oracle(H, W, bias, labels)
    assert {name: numbers[name] for name in expected} == pytest.approx(expected, rel=1e-9)


def collapsed(vectors, sizes):
    labels = torch.cat([torch.full((size,), label) for label, size in enumerate(sizes)])
    return vectors[labels], labels


def test_a_collapsed_simplex_has_all_signs_at_zero():
    frame = (torch.eye(4) - 0.25).double() @ torch.linalg.qr(torch.randn(4, 4).double())[0] + 5
    H, labels = collapsed(frame, (15, 15, 15, 15))
    W = 2.5 * (frame - 5)
    model, data = free_features(H, W, labels, -5 * W.sum(1))
    numbers = found(model, data)
    for name in (
        "nc1_within_to_between",
        "nc2_means_unequal_lengths",
        "nc2_means_unequal_angles",
        "nc2_means_to_simplex",
        "nc2_weights_unequal_lengths",
        "nc2_weights_unequal_angles",
        "nc2_weights_to_simplex",
        "nc3_not_dual",
        "nc4_disagreement",
        "largest_distance_normalised_variance",
        "within_to_between_variance",
    ):
        assert numbers[name] == pytest.approx(0, abs=1e-12), name
    assert numbers["rank_between_classes"] == 3
    assert numbers["nc2_weights_to_orthogonal"] > 0.1


def test_noise_shows_in_the_first_sign_alone():
    """One part in a hundred of noise: S_W is 1e-4 I, and S_B^+ of a simplex has the trace (C - 1) C."""
    generator = torch.Generator().manual_seed(0)
    frame = (torch.eye(3) - 1 / 3).double()
    H, labels = collapsed(frame, (4000, 4000, 4000))
    H = H + 0.01 * torch.randn(H.shape, dtype=torch.float64, generator=generator)
    model, data = free_features(H, frame, labels)
    numbers = found(model, data)
    assert numbers["nc1_within_to_between"] == pytest.approx(1e-4 * 2 * 3, rel=0.05)
    assert numbers["nc2_means_unequal_angles"] < 1e-3
    assert numbers["nc3_not_dual"] < 1e-6
    assert numbers["nc4_disagreement"] == 0


def test_an_orthogonal_frame_is_told_from_a_simplex():
    frame = 3 * torch.eye(5, 8).double()
    H, labels = collapsed(frame, (9, 9, 9, 9, 9))
    numbers = found(*free_features(H, frame, labels))
    for name in (
        "nc2_means_to_orthogonal",
        "nc2_weights_to_orthogonal",
        "nc2_means_to_simplex",  # around their mean, orthogonal vectors are one
        "nc2_means_unequal_angles",
        "nc3_not_dual_uncentred",
    ):
        assert numbers[name] == pytest.approx(0, abs=1e-12), name
    assert numbers["nc2_weights_unequal_angles"] == pytest.approx(1 / 4)
    simplex, orthogonal = torch.eye(5) - 0.2, torch.eye(5)
    apart = float((simplex / simplex.norm() - orthogonal / orthogonal.norm()).norm())
    assert numbers["nc2_weights_to_simplex"] == pytest.approx(apart, rel=1e-6)
    assert numbers["nc3_not_dual"] > 0.1


def optimum(sizes, of_weights, of_features, width=6):
    """Minimise the regularised squared error of free features and weights from a random start."""
    scale = math.sqrt(of_weights / of_features)  # so that both factors are of the same order
    generator = torch.Generator().manual_seed(0)
    labels = torch.cat([torch.full((size,), label) for label, size in enumerate(sizes)])
    n = len(labels)
    Y = nn.functional.one_hot(labels, len(sizes)).double()
    W = (
        0.3 * torch.randn(len(sizes), width, dtype=torch.float64, generator=generator)
    ).requires_grad_()
    H = (0.3 * torch.randn(n, width, dtype=torch.float64, generator=generator)).requires_grad_()
    optimiser = torch.optim.LBFGS(
        [W, H],
        lr=1,
        max_iter=2000,
        tolerance_grad=1e-9,
        tolerance_change=1e-14,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def closure():
        optimiser.zero_grad()
        error = (scale * H @ W.T - Y).square().sum() / (2 * n)
        loss = error + of_weights / 2 * W.square().sum() + of_weights / 2 * H.square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    return scale * H.detach(), W.detach(), labels


@pytest.mark.parametrize(
    ("of_weights", "of_features", "strengths"),
    [(5e-3, 1e-5, (7.72361, 5.45486, 3.13992)), (1e-3, 1e-4, (7.71434, 5.44560, 3.13065))],
)
def test_free_features_of_imbalanced_classes_reach_the_predicted_frame(
    of_weights, of_features, strengths
):
    sizes = (60, 30, 10)
    H, W, labels = optimum(sizes, of_weights, of_features)
    values = torch.linalg.svdvals(H @ W.T)
    assert values.tolist() == pytest.approx(strengths, abs=3e-4)
    measure = NeuralCollapse(weight_regularisation=of_weights, feature_regularisation=of_features)
    model, data = free_features(H, W, labels)
    numbers = found(model, data, measure)
    assert numbers["nc2_weights_to_predicted_frame"] == pytest.approx(0, abs=1e-3)
    assert numbers["nc2_means_to_predicted_frame"] == pytest.approx(0, abs=1e-3)
    assert numbers["nc2_weights_to_orthogonal"] > 0.1
    assert numbers["nc1_within_to_between"] == pytest.approx(0, abs=1e-4)
    assert "nc2_weights_to_predicted_frame" not in found(model, data)


def test_a_minority_class_vanishes_as_predicted():
    """With both factors at 0.05: the strengths are 2.7460, 0.4772 and 0."""
    H, W, labels = optimum((60, 30, 10), 0.05, 0.05)
    values = torch.linalg.svdvals(H @ W.T)[:3]
    assert values.tolist() == pytest.approx([2.7460, 0.4772, 0.0], abs=2e-4)
    measure = NeuralCollapse(weight_regularisation=0.05, feature_regularisation=0.05)
    numbers = found(*free_features(H, W, labels), measure)
    assert numbers["nc2_weights_to_predicted_frame"] == pytest.approx(0, abs=1e-3)


def test_so_much_regularisation_that_nothing_is_left():
    H, labels = collapsed(torch.eye(3).double(), (5, 5, 5))
    measure = NeuralCollapse(weight_regularisation=1.0, feature_regularisation=1.0)
    notes = {
        each.quantity: each.note
        for each in rows(*free_features(H, torch.eye(3), labels), measure)
        if each.value is None
    }
    assert notes["nc2_weights_to_predicted_frame"] == "so much regularisation leaves no class"


def test_decisions_are_compared_on_a_sample_with_its_interval():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(900) % 3
    H = torch.eye(3).double()[labels] + torch.randn(
        900, 3, dtype=torch.float64, generator=generator
    )
    model, data = free_features(H, torch.randn(3, 3, generator=generator), labels)
    whole = next(each for each in rows(model, data) if each.quantity == "nc4_disagreement")
    assert (whole.n, whole.lower, whole.seed) == (900, None, 0)
    measure = NeuralCollapse(num_examples=300)
    inside = 0
    for seed in range(20):
        (part,) = (
            each
            for each in rows(model, data, measure, seed=seed)
            if each.quantity == "nc4_disagreement"
        )
        assert (part.n, part.seed) == (300, seed)
        inside += part.lower <= whole.value <= part.upper
    assert inside >= 18


@pytest.mark.parametrize("net", [TinyMLP(), TinyConv()])
def test_every_layer_has_its_ratio_of_variances(net):
    model = shaken(net.build((1, 4, 4), 3, seed=0))
    data = batches(30, (1, 4, 4), 3)
    ratios = {
        each.layer: each.value
        for each in rows(model, data)
        if each.quantity == "within_to_between_variance"
    }
    labels = torch.cat([targets for _, targets in data])
    first = next(iter(ratios))
    with torch.no_grad():
        inputs = torch.cat([inputs for inputs, _ in data])
        if net == TinyMLP():
            inputs = inputs.flatten(1)
        outputs = model.get_submodule(first)(inputs)
        if net == TinyConv():
            outputs = model.bn1(outputs)
    features = outputs.relu().reshape(len(labels), outputs.shape[1], -1).mean(2)
    within = between = 0.0
    for label in range(3):
        chosen = features[labels == label]
        within += float((chosen - chosen.mean(0)).square().sum())
        between += len(chosen) * float((chosen.mean(0) - features.mean(0)).square().sum())
    assert ratios[first] == pytest.approx(within / between)
    assert len(ratios) == len(list(find_units(model, data[0][0][:2])))


class Other(nn.Module):
    """A network whose last layer is used in another way."""

    def __init__(self, how):
        super().__init__()
        self.body, self.head, self.how = nn.Linear(4, 6), nn.Linear(6, 3), how

    def forward(self, x):
        features = torch.relu(self.body(x))
        if self.how == "function":
            return nn.functional.linear(features, self.head.weight)
        if self.how == "twice":
            return self.head(features) + self.head(-features)
        if self.how == "sequence":
            return self.head(features[:, None].expand(-1, 2, -1)).mean(1)
        return self.head(features) * torch.ones(3)


@pytest.mark.parametrize(
    ("how", "note"),
    [
        (
            "function",
            "its last layer never runs as a module on a batch, so what it receives cannot be told",
        ),
        ("twice", "its last layer runs 2 times on a batch, so what it receives cannot be told"),
        ("sequence", "its last layer receives more than one vector of each example"),
    ],
)
def test_other_uses_of_the_last_layer_are_named(how, note):
    model = Other(how)
    assert rows(model, batches(20, (4,), 3, torch.float32))[0].note == note


def test_what_is_no_classifier_is_named(mlp):
    conv = nn.Sequential(nn.Conv2d(1, 3, 4), nn.Flatten())
    data = batches(9, (1, 4, 4), 3, torch.float32)
    notes = [each.note for each in rows(conv, data) if each.quantity == "untreated"]
    assert notes == ["its outputs are computed by `0`, which is no `nn.Linear` alone"]
    regression = [(inputs, torch.randn(30, 3)) for inputs, _ in batches(30, (6,), 3)]
    notes = {each.note for each in rows(mlp, regression) if each.quantity == "untreated"}
    assert notes == {"the targets are not class labels"}
    one = [(inputs, torch.zeros(30, dtype=torch.int64)) for inputs, _ in batches(30, (6,), 3)]
    assert rows(mlp, one)[0].note == "the data have fewer than two classes"
    many = [(inputs, targets + 1) for inputs, targets in batches(30, (6,), 3)]
    assert rows(mlp, many)[0].note == "labels go up to 3, beyond its 3 outputs"
    with torch.no_grad():
        mlp[2].weight.zero_()
    found_rows = rows(mlp, batches(30, (6,), 3))
    assert found_rows[0].note == "what it receives is on average the same for all classes"


def test_one_regularisation_alone_is_refused():
    with pytest.raises(InvalidArgument, match="only together; one is missing"):
        NeuralCollapse(weight_regularisation=0.1)


def test_scatter_is_that_of_everything_kept_and_merges():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(60, 4, dtype=torch.float64, generator=generator) + 100
    labels = torch.randint(0, 5, (60,), generator=generator)
    whole, first, second = (ClassSums(4, products=True) for _ in range(3))
    for begin in range(0, 60, 13):
        part = slice(begin, begin + 13)
        whole.add(features[part], labels[part])
        (first if begin < 20 else second).add(features[part], labels[part])
    first.merge(second)
    for seen in (whole, first):
        within = torch.zeros(4, 4, dtype=torch.float64)
        for label in range(5):
            apart = features[labels == label] - features[labels == label].mean(0)
            within += apart.T @ apart
            assert float(seen.scatter[label]) == pytest.approx(float(apart.square().sum()))
        torch.testing.assert_close(seen.within, within)
