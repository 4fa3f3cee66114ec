"""The published networks in PyTorch, built from their descriptions: the originals of parity.

Module names are those of the published checkpoints, so `load_state_dict` takes their tensors.
"""

# ruff: noqa: D102 (every forward does what its class says)
from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise

import torch
from torch import nn


class SEBlock(nn.Module):
    """Squeeze and excitation with a reduction of 8."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(channels, channels // 8), nn.ReLU(), nn.Linear(channels // 8, channels),
            nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x):
        gate = self.fc(x.mean(dim=(2, 3)))
        return x * gate[:, :, None, None]


class SEBasicBlock(nn.Module):
    """conv, ReLU, BN, conv, BN, SE, shortcut, ReLU: the ReLU comes before the first BN."""

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.se = SEBlock(channels)
        self.downsample = None
        if stride != 1 or inputs != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x):
        y = self.bn1(torch.relu(self.conv1(x)))
        y = self.se(self.bn2(self.conv2(y)))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNetSE34L(nn.Module):
    """Thin-ResNet-34 with self-attentive pooling: (n, 1, 40, t) → (n, 512)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 7, (2, 1), 3, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        inputs = 16
        for number, (channels, blocks, stride) in enumerate(
            ((16, 3, 1), (32, 4, 2), (64, 6, 2), (128, 3, 1)), 1
        ):
            units = [SEBasicBlock(inputs, channels, stride)]
            units += [SEBasicBlock(channels, channels, 1) for _ in range(blocks - 1)]
            self.add_module(f"layer{number}", nn.Sequential(*units))
            inputs = channels
        self.sap_linear = nn.Linear(128, 128)
        self.attention = nn.Parameter(torch.zeros(128, 1))
        self.fc = nn.Linear(128, 512)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        for number in (1, 2, 3, 4):
            x = getattr(self, f"layer{number}")(x)
        x = x.mean(dim=2).permute(0, 2, 1)
        weight = torch.softmax(torch.tanh(self.sap_linear(x)) @ self.attention, dim=1)
        return self.fc((x * weight).sum(dim=1))


class BottleneckIR(nn.Module):
    """A unit of IR-50."""

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        if inputs == channels:
            self.shortcut_layer = nn.MaxPool2d(1, stride)
        else:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(inputs, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, channels, 3, 1, 1, bias=False),
            nn.PReLU(channels),
            nn.Conv2d(channels, channels, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x):
        return self.res_layer(x) + self.shortcut_layer(x)


class IR50(nn.Module):
    """IR-50: (n, 3, 112, 112) BGR -1..1 → (n, 512)."""

    def __init__(self) -> None:
        super().__init__()
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64)
        )
        units, inputs = [], 64
        for channels, count in ((64, 3), (128, 4), (256, 14), (512, 3)):
            for index in range(count):
                units.append(BottleneckIR(inputs, channels, 2 if index == 0 else 1))
                inputs = channels
        self.body = nn.Sequential(*units)
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(512), nn.Dropout(), nn.Flatten(), nn.Linear(512 * 7 * 7, 512),
            nn.BatchNorm1d(512),
        )  # fmt: skip

    def forward(self, x):
        return self.output_layer(self.body(self.input_layer(x)))


class Encoder(nn.Module):
    """A trunk, `model`, and the head of the shared space, `fc`."""

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.model = trunk
        self.fc = nn.Sequential(nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 128, bias=False))

    def forward(self, x):
        return self.fc(self.model(x))


def shape_of_sound() -> nn.ModuleDict:
    """Return both encoders under the checkpoint's names."""
    return nn.ModuleDict({"V": Encoder(ResNetSE34L()), "F": Encoder(IR50())})


class Speech2FaceVoice(nn.Module):
    """Table 1 of the paper: (n, 2, t, 257) → (n, 4096)."""

    def __init__(self) -> None:
        super().__init__()
        table = ((64, 1), (64, 1), (128, 1), (128, 1), (128, 1), (256, 1), (512, 1), (512, 2),
                 (512, 2))  # fmt: skip
        self.conv, self.norm = nn.ModuleList(), nn.ModuleList()
        inputs = 2
        for channels, stride in table:
            self.conv.append(nn.Conv2d(inputs, channels, 4, stride))
            self.norm.append(nn.BatchNorm2d(channels))
            inputs = channels
        self.linear = nn.ModuleList([nn.Linear(512 * 57, 4096), nn.Linear(4096, 4096)])

    def forward(self, x):
        for number, (conv, norm) in enumerate(zip(self.conv, self.norm, strict=True), 1):
            x = conv(x)
            if number == 9:
                x = x.mean(dim=2, keepdim=True)
            x = norm(torch.relu(x))
            if number in (3, 4, 5, 6):
                x = nn.functional.max_pool2d(x, (2, 1))
        return self.linear[1](torch.relu(self.linear[0](x.flatten(1))))


class Speech2FaceDecoder(nn.Module):
    """The texture branch of Cole et al. as re-implemented: (n, 4096) → (n, 3, 224, 224)."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(4096, 1000), nn.ReLU(), nn.Linear(1000, 256 * 14 * 14), nn.ReLU()
        )
        layers: list[nn.Module] = []
        for inputs, channels in pairwise((256, 128, 64, 32, 32)):
            layers += [nn.ConvTranspose2d(inputs, channels, 6, 2, 2), nn.ReLU()]
        self.texture_gen = nn.Sequential(*layers, nn.Conv2d(32, 3, 1), nn.Sigmoid())

    def forward(self, x):
        return self.texture_gen(self.mlp(x).view(-1, 256, 14, 14))


class VggFace(nn.Module):
    """VGG-16 up to fc7, before its ReLU: (n, 3, 224, 224), means subtracted → (n, 4096)."""

    def __init__(self) -> None:
        super().__init__()
        inputs = 3
        for block, (channels, count) in enumerate(
            ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), 1
        ):
            for number in range(1, count + 1):
                self.add_module(f"conv{block}_{number}", nn.Conv2d(inputs, channels, 3, padding=1))
                inputs = channels
        self.fc6, self.fc7 = nn.Linear(512 * 7 * 7, 4096), nn.Linear(4096, 4096)

    def forward(self, x):
        for block, count in enumerate((2, 2, 3, 3, 3), 1):
            for number in range(1, count + 1):
                x = torch.relu(getattr(self, f"conv{block}_{number}")(x))
            x = nn.functional.max_pool2d(x, 2)
        return self.fc7(torch.relu(self.fc6(x.flatten(1))))


class MobileFaceNet(nn.Module):
    """(n, 3, 112, 112), normalised with ImageNet's statistics → (n, 128)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _conv_bn(3, 64, 3, 2)
        self.dw_conv = nn.Module()
        self.dw_conv.depthwise = nn.Conv2d(64, 64, 3, 1, 1, groups=64, bias=False)
        self.dw_conv.bn1 = nn.BatchNorm2d(64)
        self.dw_conv.pointwise = nn.Conv2d(64, 64, 1, bias=False)
        self.dw_conv.bn2 = nn.BatchNorm2d(64)
        blocks, inputs = [], 64
        for t, c, n, s in ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2),
                           (2, 128, 2, 1)):  # fmt: skip
            for index in range(n):
                blocks.append(_Inverted(inputs, c, t, s if index == 0 else 1))
                inputs = c
        self.features = nn.Sequential(*blocks)
        self.conv2 = _conv_bn(128, 512, 1, 1)
        self.gdconv = nn.Module()
        self.gdconv.depthwise = nn.Conv2d(512, 512, 7, groups=512, bias=False)
        self.gdconv.bn = nn.BatchNorm2d(512)
        self.conv3 = nn.Conv2d(512, 128, 1)
        self.bn = nn.BatchNorm2d(128)

    def forward(self, x):
        x = self.conv1(x)
        x = torch.relu(self.dw_conv.bn1(self.dw_conv.depthwise(x)))
        x = torch.relu(self.dw_conv.bn2(self.dw_conv.pointwise(x)))
        x = self.conv2(self.features(x))
        x = self.gdconv.bn(self.gdconv.depthwise(x))
        return self.bn(self.conv3(x)).flatten(1)


class _Inverted(nn.Module):
    def __init__(self, inputs: int, channels: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.plain = stride == 1 and inputs == channels
        self.conv = nn.Sequential(
            _conv_bn(inputs, wide, 1, 1), _conv_bn(wide, wide, 3, stride, wide),
            nn.Conv2d(wide, channels, 1, bias=False), nn.BatchNorm2d(channels),
        )  # fmt: skip

    def forward(self, x):
        return x + self.conv(x) if self.plain else self.conv(x)


def _conv_bn(inputs: int, channels: int, kernel: int, stride: int, groups: int = 1):
    conv = nn.Conv2d(inputs, channels, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU6())


class CelebaDecoder(nn.Module):
    """(n, 10) → (n, 3, 64, 64)."""

    def __init__(self) -> None:
        super().__init__()
        self.lin1, self.lin2, self.lin3 = (
            nn.Linear(10, 256),
            nn.Linear(256, 256),
            nn.Linear(256, 512),
        )
        for name in ("convT_64", "convT1", "convT2"):
            self.add_module(name, nn.ConvTranspose2d(32, 32, 4, 2, 1))
        self.convT3 = nn.ConvTranspose2d(32, 3, 4, 2, 1)

    def forward(self, x):
        for layer in (self.lin1, self.lin2, self.lin3):
            x = torch.relu(layer(x))
        x = x.view(-1, 32, 4, 4)
        for layer in (self.convT_64, self.convT1, self.convT2):
            x = torch.relu(layer(x))
        return torch.sigmoid(self.convT3(x))


class AssociationHead(nn.Module):
    """Linear, BN, ReLU, ..., the last linear plain."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for number, (a, b) in enumerate(pairwise(widths), 1):
            layers[f"fc{number}"] = nn.Linear(a, b)
            if number < len(widths) - 1:
                layers[f"bn{number}"] = nn.BatchNorm1d(b)
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.count = len(widths) - 1

    def forward(self, x):
        for number in range(1, self.count):
            x = getattr(self, f"fc{number}")(x)
            x = torch.relu(getattr(self, f"bn{number}")(x))
        return getattr(self, f"fc{self.count}")(x)


class XVector(nn.Module):
    """(n, 80, 600) → (n, 512); batch norm is already folded into the convolutions."""

    def __init__(self) -> None:
        super().__init__()
        inputs = 80
        table = ((256, 5, 1), (256, 3, 2), (256, 3, 3), (256, 1, 1), (800, 1, 1))
        for number, (channels, kernel, dilation) in enumerate(table, 1):
            self.add_module(f"conv{number}", nn.Conv1d(inputs, channels, kernel, dilation=dilation))
            inputs = channels
        self.fc1, self.fc2 = nn.Linear(1600, 512), nn.Linear(512, 512)

    def forward(self, x):
        for number in range(1, 6):
            x = torch.relu(getattr(self, f"conv{number}")(x))
        deviation = torch.sqrt(x.var(dim=2, unbiased=True) + 1e-10)
        x = torch.cat([x.mean(dim=2), deviation], dim=1)
        return self.fc2(torch.relu(self.fc1(x)))
