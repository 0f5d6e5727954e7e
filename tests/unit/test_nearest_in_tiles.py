"""The nearest point, sought tile by tile, is that of one search through all points."""

from __future__ import annotations

import pytest
import torch

from pipeline.metrics import distances


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("width", [1, 7, 50, 4096])
def test_the_nearest_other_point_does_not_depend_on_the_tiles(
    width: int, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distances, "TILE_COLUMNS", width)
    draw = torch.randint(0, 3, (50, 2), generator=torch.Generator().manual_seed(0)).float()  # of which many are equal
    (points,) = distances.prepare(draw / 255 if whole else draw + 0.5)
    own = torch.arange(50)
    values, indices = distances.nearest(points, points, 1, own=own)
    squares = (draw[:, None] - draw).square().sum(2).fill_diagonal_(torch.inf)
    assert torch.equal(indices[:, 0], squares.sort(dim=1, stable=True).indices[:, 0]), "of equal ones the first"
    torch.testing.assert_close(values[:, 0].float(), squares.amin(1), rtol=0, atol=1e-5)
    to_itself = distances.nearest_distances(points, points).max().item()
    assert to_itself <= (0 if whole else 5e-3), "pixels are compared without rounding"
