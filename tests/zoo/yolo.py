"""YOLO v8 parts: C2f, SPPF and a neck that upsamples and concatenates, after ultralytics."""

import torch
from torch import Tensor, nn

from zoo import register
from zoo.initialisation import init_weights


def autopad(k: int, p: int | None = None) -> int:
    return k // 2 if p is None else p


class Conv(nn.Module):
    default_act = nn.SiLU()

    def __init__(self, c1, c2, k=1, s=1, p=None, g=1, act=True):
        super().__init__()
        self.conv = nn.Conv2d(c1, c2, k, s, autopad(k, p), groups=g, bias=False)
        self.bn = nn.BatchNorm2d(c2)
        self.act = self.default_act if act is True else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(x)))


class Bottleneck(nn.Module):
    def __init__(self, c1, c2, shortcut=True, g=1, k=(3, 3), e=0.5):
        super().__init__()
        c_ = int(c2 * e)
        self.cv1 = Conv(c1, c_, k[0], 1)
        self.cv2 = Conv(c_, c2, k[1], 1, g=g)
        self.add = shortcut and c1 == c2

    def forward(self, x: Tensor) -> Tensor:
        return x + self.cv2(self.cv1(x)) if self.add else self.cv2(self.cv1(x))


class C2f(nn.Module):
    def __init__(self, c1, c2, n=1, shortcut=False, g=1, e=0.5):
        super().__init__()
        self.c = int(c2 * e)
        self.cv1 = Conv(c1, 2 * self.c, 1, 1)
        self.cv2 = Conv((2 + n) * self.c, c2, 1)
        self.m = nn.ModuleList(Bottleneck(self.c, self.c, shortcut, g, e=1.0) for _ in range(n))

    def forward(self, x: Tensor) -> Tensor:
        y = list(self.cv1(x).chunk(2, 1))
        y.extend(m(y[-1]) for m in self.m)
        return self.cv2(torch.cat(y, 1))


class SPPF(nn.Module):
    def __init__(self, c1: int, c2: int, k: int = 5):
        super().__init__()
        c_ = c1 // 2
        self.cv1 = Conv(c1, c_, 1, 1)
        self.cv2 = Conv(c_ * 4, c2, 1, 1)
        self.m = nn.MaxPool2d(kernel_size=k, stride=1, padding=k // 2)

    def forward(self, x: Tensor) -> Tensor:
        y = [self.cv1(x)]
        y.extend(self.m(y[-1]) for _ in range(3))
        return self.cv2(torch.cat(y, 1))


class YOLO(nn.Module):
    def __init__(self, num_outputs: int = 6):
        super().__init__()
        self.stem = Conv(3, 8, 3, 2)
        self.down1 = Conv(8, 16, 3, 2)
        self.c2f1 = C2f(16, 16, n=2, shortcut=True)
        self.down2 = Conv(16, 24, 3, 2)
        self.c2f2 = C2f(24, 24, n=1, shortcut=True)
        self.sppf = SPPF(24, 24)
        self.up = nn.Upsample(None, 2, "nearest")
        self.c2f3 = C2f(24 + 16, 16, n=1)
        self.detect = nn.ModuleList(nn.Conv2d(c, num_outputs, 1) for c in (16, 24))
        self.apply(init_weights)

    def forward(self, x: Tensor) -> list[Tensor]:
        p2 = self.c2f1(self.down1(self.stem(x)))
        p3 = self.sppf(self.c2f2(self.down2(p2)))
        p2 = self.c2f3(torch.cat([self.up(p3), p2], 1))
        return [head(p) for head, p in zip(self.detect, (p2, p3), strict=True)]


@register("yolo_c2f")
def yolo_c2f():
    return YOLO(), torch.randn(2, 3, 32, 32)
