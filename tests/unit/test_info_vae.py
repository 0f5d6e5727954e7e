"""InfoVAE: its MMD against the definition, and what the weight does to the aggregate posterior."""

from __future__ import annotations

import torch

from pipeline.models.info_vae import InfoVAE, squared_mmd


def test_mmd_is_the_three_means_of_the_kernel() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(7, 3, dtype=torch.float64), 2 * torch.randn(5, 3, dtype=torch.float64) + 1

    def mean_kernel(x: torch.Tensor, y: torch.Tensor) -> float:
        pairs = [6 / (6 + float(((u - v) ** 2).sum())) for u in x for v in y]
        return sum(pairs) / len(pairs)

    expected = mean_kernel(a, a) + mean_kernel(b, b) - 2 * mean_kernel(a, b)
    assert abs(float(squared_mmd(a, b)) - expected) < 1e-12


def test_mmd_is_zero_for_the_same_sample_symmetric_and_grows_with_the_shift() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(200, 4), torch.randn(200, 4)
    assert abs(float(squared_mmd(a, a.flip(0)))) < 1e-5
    torch.testing.assert_close(squared_mmd(a, b), squared_mmd(b, a))
    shifted = [float(squared_mmd(a + shift, b)) for shift in (0.0, 0.5, 1.0, 2.0)]
    assert shifted == sorted(shifted) and shifted[0] < 0.02


def test_loss_is_reconstruction_plus_weighted_mmd_without_the_kl() -> None:
    torch.manual_seed(0)
    model = InfoVAE((1, 8, 8), hidden=(16,), latent=3, mmd_weight=70.0)
    scalars = model.fit_batch(torch.rand(12, 1, 8, 8).round())
    torch.testing.assert_close(scalars["loss"], scalars["reconstruction"] + 70.0 * scalars["mmd"])
    assert not any(value.requires_grad for value in scalars.values())


def test_the_weight_draws_the_codes_to_the_prior() -> None:
    """Four patterns under weight 0 and 1000: the aggregate posterior's MMD to fresh prior samples is far lower."""
    x = torch.eye(4).repeat_interleave(16, 0).view(64, 1, 2, 2).repeat_interleave(4, 2).repeat_interleave(4, 3)

    def aggregate(mmd_weight: float) -> float:
        torch.manual_seed(1)
        model = InfoVAE((1, 8, 8), hidden=(32,), latent=2, mmd_weight=mmd_weight, learning_rate=1e-2)
        for _ in range(150):
            model.fit_batch(x)
        with torch.no_grad():
            return float(squared_mmd(model.terms(x)[2], torch.randn(64, 2)))

    assert aggregate(1000.0) < 0.3 * aggregate(0.0)
