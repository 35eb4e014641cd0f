"""Networks of several sources: pathways that only one source reaches, a fusion, a trunk, heads."""

from chiasm.networks.all_conv import AllConv
from chiasm.networks.batchnorm import reestimated
from chiasm.networks.custom import Custom
from chiasm.networks.deep_linear import DeepLinear
from chiasm.networks.fusion import Fusion, FusionNetwork
from chiasm.networks.multiview import MultiView
from chiasm.networks.network import NETWORKS, Network
from chiasm.networks.response import Response
from chiasm.networks.split_cnn import SplitCNN
from chiasm.networks.split_mlp import SplitMLP
from chiasm.networks.split_resnet import SplitResNet
from chiasm.networks.stacked import Stacked

__all__ = [
    "NETWORKS",
    "AllConv",
    "Custom",
    "DeepLinear",
    "Fusion",
    "FusionNetwork",
    "MultiView",
    "Network",
    "Response",
    "SplitCNN",
    "SplitMLP",
    "SplitResNet",
    "Stacked",
    "reestimated",
]
