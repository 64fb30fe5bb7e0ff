"""A bag of words: EmbeddingBag with offsets, then a classifier, after torch's tutorial."""

import torch
from torch import Tensor, nn

from zoo import register


class TextClassificationModel(nn.Module):
    def __init__(self, vocab_size: int = 20, embed_dim: int = 12, num_class: int = 4):
        super().__init__()
        self.embedding = nn.EmbeddingBag(vocab_size, embed_dim, sparse=False)
        self.fc1 = nn.Linear(embed_dim, 16)
        self.fc2 = nn.Linear(16, num_class)

    def forward(self, text: Tensor, offsets: Tensor) -> Tensor:
        embedded = self.embedding(text, offsets)
        return self.fc2(torch.relu(self.fc1(embedded)))


@register("embedding_bag")
def embedding_bag():
    return TextClassificationModel(), (torch.randint(0, 20, (9,)), torch.tensor([0, 4]))
