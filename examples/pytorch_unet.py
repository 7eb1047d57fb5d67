"""Train a small U-Net in PyTorch on a segrecord dataset; killed in mid-epoch, it goes on.

    python examples/pytorch_unet.py demo/dataset --out runs/unet

DATASET is a folder that `segrecord build ... --split train=0.8,val=0.1,test=0.1` made, with masks
in the splits train and test. After a kill, run the same command again: it goes on from the last
checkpoint, and ends with the weights of a run that was never interrupted.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import segrecord
import segrecord.torch
from scoring import Scores, count_mask_classes, save_picture


class Block(nn.Module):
    """Two 3x3 convolutions."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(inputs, outputs, 3, padding=1), nn.GroupNorm(8, outputs), nn.ReLU()),
            *(nn.Conv2d(outputs, outputs, 3, padding=1), nn.GroupNorm(8, outputs), nn.ReLU()),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W)."""
        return self.layers(x)


class UNet(nn.Module):
    """A quarter of the U-Net of Ronneberger, Fischer and Brox (2015), with one level less.

    Args:
        classes: of the mask.
        width: channels of the first level.
    """

    def __init__(self, classes: int, width: int = 16) -> None:
        super().__init__()
        sizes = [width, 2 * width, 4 * width, 8 * width]
        self.down = nn.ModuleList(map(Block, [3, *sizes[:-1]], sizes))
        self.up = nn.ModuleList(Block(3 * size, size) for size in sizes[:-1])
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) uint8, H and W multiples of 8, to logits (N, classes, H, W)."""
        x, skips = image.float() / 127.5 - 1, []
        for level, block in enumerate(self.down):
            x = block(nn.functional.max_pool2d(x, 2) if level else x)
            skips.append(x)
        for block, skip in zip(reversed(self.up), reversed(skips[:-1]), strict=True):
            x = block(torch.cat([nn.functional.interpolate(x, scale_factor=2.0), skip], 1))
        return self.head(x)


class Training:
    """All that a checkpoint holds: the model, the optimizer, and where the data stand."""

    def __init__(self, options: argparse.Namespace) -> None:
        torch.manual_seed(options.seed)
        # Asked now, so that a missing split is told before the training and not after it.
        self.model = UNet(count_mask_classes(options.dataset))
        samples = segrecord.torch.dataset(options.dataset, "train", image_size=options.image_size)
        self.loader = segrecord.torch.loader(
            samples, options.batch_size, seed=options.seed, num_workers=options.num_workers
        )
        self.optimizer = torch.optim.Adam(self.model.parameters(), 1e-3)
        self.path = options.out / "checkpoint.pt"

    def parts(self) -> dict[str, Any]:
        """What has a state."""
        return {"model": self.model, "optimizer": self.optimizer, "loader": self.loader}

    def save(self) -> None:
        """Write the checkpoint; a kill leaves the old one or the new one."""
        unfinished = self.path.with_suffix(".part")
        torch.save({name: part.state_dict() for name, part in self.parts().items()}, unfinished)
        unfinished.replace(self.path)

    def load(self) -> None:
        """Go on from the checkpoint, if there is one."""
        if self.path.exists():
            states = torch.load(self.path, weights_only=True)
            for name, part in self.parts().items():
                part.load_state_dict(states[name])
            print(f"goes on from {self.loader.state.to_json()}", flush=True)


def flipped(batch: dict[str, Any], seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images and masks mirrored alike, by the seed alone, so that a resume repeats it."""
    flips = np.random.default_rng(seed).integers(0, 2, 2)
    axes = [axis for axis, flip in zip((-1, -2), flips, strict=True) if flip]
    return batch["image"].flip(axes), batch["mask"].flip(axes)


def train_epoch(training: Training, options: argparse.Namespace) -> None:
    """The rest of an epoch, with a checkpoint every `save_every` steps and at its end."""
    begin, losses, start = training.loader.state, [], time.perf_counter()
    training.model.train()
    for step, batch in enumerate(training.loader, 1):
        place = begin.samples_consumed + step * options.batch_size  # in the epoch, resumed or not
        image, mask = flipped(batch, seed=begin.epoch * 10**9 + place)
        logits = training.model(image)
        loss = nn.functional.cross_entropy(logits, mask.long(), ignore_index=255)
        training.optimizer.zero_grad()
        loss.backward()
        training.optimizer.step()
        losses.append(loss.item())
        if step % options.save_every == 0:
            training.save()
    training.save()
    seconds = time.perf_counter() - start
    told = f"epoch {begin.epoch + 1}/{options.epochs}: loss {np.mean(losses):.4f}"
    print(f"{told}, {len(losses)} steps in {seconds:.0f} s", flush=True)


@torch.no_grad()
def score(model: UNet, options: argparse.Namespace) -> Scores:
    """Mean IoU on the test split, and a picture of the first predictions."""
    model.eval()
    scores = Scores(model.head.out_channels)
    shown: list[Any] = []
    test = segrecord.open(options.dataset, "test")
    for batch in test.batches(16, shuffle=False, drop_last=False, image_size=options.image_size):
        image = torch.from_numpy(batch.image).permute(0, 3, 1, 2)
        predicted = model(image).argmax(1).numpy().astype(np.uint8)
        scores.add(batch.image, batch.mask, predicted)
        rows = zip(batch.image, batch.mask, predicted, strict=True)
        shown += [row for row, known in zip(rows, batch.has_mask, strict=True) if known]
    save_picture(options.out / "predictions.png", shown[:6])
    return scores


def main() -> None:
    """Train, then score on the test split."""
    options = parse_options()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.use_deterministic_algorithms(mode=True)
    training = Training(options)
    training.load()
    while training.loader.state.epoch < options.epochs:
        train_epoch(training, options)
    torch.save(training.model.state_dict(), options.out / "unet.pt")
    print(score(training.model, options))
    print(f"model and predictions.png are in {options.out}")


def parse_options() -> argparse.Namespace:
    """What stands on the command line."""
    parser = argparse.ArgumentParser(description="Train a small U-Net on a segrecord dataset.")
    parser.add_argument("dataset", type=Path, help="made by segrecord build, with --split")
    parser.add_argument("--out", type=Path, default=Path("runs/unet"), help="for what is made")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--image-size", type=int, default=128, help="pixels, a multiple of 8")
    parser.add_argument("--num-workers", type=int, default=0, help="processes that read")
    parser.add_argument("--save-every", type=int, default=10, help="steps to a checkpoint")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.image_size <= 0 or options.image_size % 8:
        parser.error(f"--image-size must be a multiple of 8, got {options.image_size}")
    options.image_size = (options.image_size, options.image_size)
    return options


if __name__ == "__main__":
    try:
        main()
    except segrecord.SegrecordError as error:  # no split test, for example: it says what to do
        sys.exit(f"error: {error}")
