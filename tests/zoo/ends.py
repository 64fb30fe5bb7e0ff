"""More than one end: two heads in a dict, two heads in a tuple, two named inputs."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo import register
from zoo.initialisation import init_weights


class TwoHeads(nn.Module):
    def __init__(self, num_classes: int = 5):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(3, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 16, 3, stride=2), nn.ReLU()
        )
        self.classifier = nn.Linear(16, num_classes)
        self.regressor = nn.Sequential(nn.Linear(16, 10), nn.ReLU(), nn.Linear(10, 4))
        self.apply(init_weights)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = self.backbone(x).mean((2, 3))
        return {"logits": self.classifier(features), "boxes": self.regressor(features).sigmoid()}


class ActorCritic(nn.Module):
    def __init__(self, num_inputs: int = 6, num_actions: int = 3, hidden: int = 16):
        super().__init__()
        self.affine = nn.Linear(num_inputs, hidden)
        self.action_head = nn.Linear(hidden, num_actions)
        self.value_head = nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu(self.affine(x))
        return F.softmax(self.action_head(x), dim=-1), self.value_head(x)


class ImageAndTable(nn.Module):
    def __init__(self, num_classes: int = 5):
        super().__init__()
        self.cnn = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.mlp = nn.Sequential(nn.Linear(6, 12), nn.ReLU())
        self.fc = nn.Linear(8 * 4 * 4 + 12, 20)
        self.out = nn.Linear(20, num_classes)

    def forward(self, image: Tensor, table: Tensor) -> Tensor:
        x1 = self.cnn(image).flatten(1)
        x2 = self.mlp(table)
        x = torch.cat((x1, x2), dim=1)
        return self.out(F.relu(self.fc(x)))


@register("two_heads_dict")
def two_heads_dict():
    return TwoHeads(), torch.randn(2, 3, 9, 9)


@register("two_heads_tuple")
def two_heads_tuple():
    return ActorCritic(), torch.randn(2, 6)


@register("two_inputs_dict")
def two_inputs_dict():
    return ImageAndTable(), {"image": torch.randn(2, 3, 8, 8), "table": torch.randn(2, 6)}
