"""Put the conversion between uint8 pictures and the network's range inside the graph."""

import torch
from torch import Tensor, nn


class PictureEncoder(nn.Module):
    """uint8 pictures (B, H, W, 3) to raw latents."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, image_BHWC: Tensor) -> Tensor:
        image_BCHW = image_BHWC.permute(0, 3, 1, 2).float() / 127.5 - 1.0
        # As a view with channels last, PyTorch's group norms take the difference of two large sums.
        return self.encoder(image_BCHW.contiguous())


class PictureDecoder(nn.Module):
    """Raw latents to uint8 pictures (B, H, W, 3): trunc(clamp(127.5 y + 128, 0, 255))."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, latent_Bzhw: Tensor) -> Tensor:
        image_BCHW = self.decoder(latent_Bzhw) * 127.5 + 128.0
        return image_BCHW.clamp(0.0, 255.0).to(torch.uint8).permute(0, 2, 3, 1)
