"""Graph convolutions on a fixed graph, after Kipf and Welling."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo import register


def normalized_adjacency(num_nodes: int) -> Tensor:
    adj = torch.eye(num_nodes)
    for i in range(num_nodes):
        for j in ((i + 1) % num_nodes, (3 * i + 2) % num_nodes):
            adj[i, j] = adj[j, i] = 1.0
    d = adj.sum(1).rsqrt()
    return d[:, None] * adj * d[None, :]


class GraphConvolution(nn.Module):
    def __init__(self, in_features: int, out_features: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(in_features, out_features))
        self.bias = nn.Parameter(torch.zeros(out_features))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, input: Tensor, adj: Tensor) -> Tensor:
        support = torch.matmul(input, self.weight)
        output = torch.matmul(adj, support)
        return output + self.bias


class GCN(nn.Module):
    def __init__(self, nfeat: int = 5, nhid: int = 12, nclass: int = 4, num_nodes: int = 6):
        super().__init__()
        self.register_buffer("adj", normalized_adjacency(num_nodes))
        self.gc1 = GraphConvolution(nfeat, nhid)
        self.lin = nn.Linear(nhid, nhid)
        self.gc2 = GraphConvolution(nhid, nclass)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.gc1(x, self.adj))
        x = F.dropout(x, 0.5, training=self.training)
        x = F.relu(self.lin(self.adj @ x))
        return self.gc2(x, self.adj)


@register("graph_conv")
def graph_conv():
    return GCN(), torch.randn(2, 6, 5)
