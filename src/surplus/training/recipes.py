"""Recipes: published set-ups as specs, by name; derive your own with `dataclasses.replace`."""

from collections.abc import Callable

from surplus.base import unknown_name
from surplus.nets.alexnet_small import AlexNetSmall
from surplus.nets.conv2 import Conv2
from surplus.nets.conv4 import Conv4
from surplus.nets.conv6 import Conv6
from surplus.nets.lenet_300_100 import LeNet300100
from surplus.nets.resnet_cifar import ResNetCIFAR
from surplus.nets.vgg11 import VGG11
from surplus.nets.vgg19_bn import VGG19BN
from surplus.tasks.cifar10 import CIFAR10
from surplus.tasks.fashion_mnist import FashionMNIST
from surplus.tasks.mnist import MNIST
from surplus.tasks.mnist_10k import MNIST10k
from surplus.training.moments.each_epoch import EachEpoch
from surplus.training.optimizers.adam import Adam
from surplus.training.optimizers.sgd import SGD
from surplus.training.probes.evaluation import Evaluation
from surplus.training.schedules.step_decay import StepDecay
from surplus.training.spec import Spec, Training


def lenet_mnist_10k() -> Spec:
    """LeNet-300-100 on the embedded subset of MNIST: the demo's network, trained in seconds."""
    training = Training(optimizer=SGD(learning_rate=0.1, momentum=0.9), num_epochs=20)
    return Spec(net=LeNet300100(), task=MNIST10k(), training=training)


def lenet_mnist() -> Spec:
    """LeNet-300-100 on MNIST with the optimiser of frankle2019lottery, for 20 epochs."""
    training = Training(optimizer=Adam(learning_rate=1.2e-3), batch_size=60, num_epochs=20)
    return Spec(net=LeNet300100(), task=MNIST(), training=training)


def lenet_fashion() -> Spec:
    """LeNet-300-100 on Fashion-MNIST, trained as on MNIST."""
    training = Training(optimizer=Adam(learning_rate=1.2e-3), batch_size=60, num_epochs=20)
    return Spec(net=LeNet300100(), task=FashionMNIST(), training=training)


def conv2_cifar10() -> Spec:
    """Conv-2 on CIFAR-10 as in frankle2019lottery, Figure 2: Adam 2e-4, batch 60, 20,000 updates."""
    return Spec(net=Conv2(), task=CIFAR10(), training=_conv(2e-4, 20_000))


def conv4_cifar10() -> Spec:
    """Conv-4 on CIFAR-10 as in frankle2019lottery, Figure 2: Adam 3e-4, batch 60, 25,000 updates."""
    return Spec(net=Conv4(), task=CIFAR10(), training=_conv(3e-4, 25_000))


def conv6_cifar10() -> Spec:
    """Conv-6 on CIFAR-10 as in frankle2019lottery, Figure 2: Adam 3e-4, batch 60, 30,000 updates."""
    return Spec(net=Conv6(), task=CIFAR10(), training=_conv(3e-4, 30_000))


def vgg11_cifar10() -> Spec:
    """VGG-11 on CIFAR-10: SGD with momentum, rate 0.01, which a network without normalisation bears."""
    return Spec(net=VGG11(), task=CIFAR10(), training=_deep(0.01))


def vgg19_cifar10() -> Spec:
    """VGG-19 with batch normalisation on CIFAR-10: SGD with momentum, rate 0.1, 160 epochs."""
    return Spec(net=VGG19BN(), task=CIFAR10(), training=_deep(0.1))


def alexnet_cifar10() -> Spec:
    """The small AlexNet on CIFAR-10: SGD with momentum, rate 0.01."""
    return Spec(net=AlexNetSmall(), task=CIFAR10(), training=_deep(0.01))


def resnet20_cifar10() -> Spec:
    """ResNet-20 on CIFAR-10 as in he2016deep, Section 4.2: 64,000 updates; without its shifts and flips of images."""
    training = Training(
        optimizer=SGD(learning_rate=0.1, momentum=0.9, weight_decay=1e-4),
        schedule=StepDecay(milestones=(0.5, 0.75)),
        num_steps=64_000,
        snapshots=EachEpoch(every=10),
        probes=(Evaluation(at=EachEpoch(every=2)),),
    )
    return Spec(net=ResNetCIFAR(depth=20), task=CIFAR10(), training=training)


RECIPES: dict[str, Callable[[], Spec]] = {
    each.__name__.replace("_", "-"): each
    for each in (
        lenet_mnist_10k,
        lenet_mnist,
        lenet_fashion,
        conv2_cifar10,
        conv4_cifar10,
        conv6_cifar10,
        vgg11_cifar10,
        vgg19_cifar10,
        alexnet_cifar10,
        resnet20_cifar10,
    )
}


def recipe(name: str) -> Spec:
    """Return the spec that goes by a name.

    Raises:
        UnknownName: there is no such recipe; a close spelling is suggested.
    """
    if name not in RECIPES:
        raise unknown_name("recipe", name, RECIPES)
    return RECIPES[name]()


def _conv(rate: float, num_steps: int) -> Training:
    return Training(
        optimizer=Adam(learning_rate=rate),
        batch_size=60,
        num_steps=num_steps,
        snapshots=EachEpoch(every=2),
        probes=(Evaluation(at=EachEpoch(every=2)),),
    )


def _deep(rate: float) -> Training:
    return Training(
        optimizer=SGD(learning_rate=rate, momentum=0.9, weight_decay=5e-4),
        schedule=StepDecay(milestones=(0.5, 0.75)),
        num_epochs=160,
        snapshots=EachEpoch(every=10),
        probes=(Evaluation(at=EachEpoch(every=2)),),
    )
