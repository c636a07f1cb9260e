r"""Batch renormalization (Ioffe 2017): batch statistics whose distance from the running ones is bounded."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diagkit.errors import InputError
from diagkit.objective import check_positive
from diagkit.objective.arguments import NUMBER


class BatchRenorm(nn.modules.batchnorm._BatchNorm):
    r"""Over the m values of each channel of a batch [N, C, ...], with mean mu_B and variance sigma_B^2 - eps
    = (1/m) sum (x - mu_B)^2,

    .. math:: y = \gamma \Bigl(\frac{x - \mu_B}{\sigma_B}\, \rho + d\Bigr) + \beta, \qquad
              \rho = \mathrm{clip}\Bigl(\frac{\sigma_B}{\sigma}, \frac{1}{r_{max}}, r_{max}\Bigr), \quad
              d = \mathrm{clip}\Bigl(\frac{\mu_B - \mu}{\sigma}, -d_{max}, d_{max}\Bigr)

    in training, where mu and sigma are the running statistics before this batch is added, sigma^2 = variance
    + eps, and rho and d are constants to the gradient; with mu and sigma in evaluation (Ioffe 2017,
    arXiv:1702.03275). With r_max = 1, d_max = 0 this is batch normalization; where nothing is clipped, a
    batch is treated in training as in evaluation, which is what helps small batches.

    Derivatives under batch statistics, the second ones too, hold rho and d at their values: they are not the
    slopes of the loss, in which rho and d move with the weights.

    Running statistics are kept as ``nn.BatchNorm`` keeps them, the variance rather than Ioffe's standard
    deviation, so that the two exchange their state. Ioffe starts with (1, 0) and widens to (3, 5) in the
    first 40 000 and 25 000 steps: ``layer.r_max`` and ``layer.d_max`` may be set between steps.

    Parameters
    ----------
    num_features : C. r_max >= 1, d_max >= 0 : the bounds, "inf" allowed.

    Raises
    ------
    InputError : bounds that leave nothing allowed.
    ValueError : a batch with one value per channel in training, as from ``nn.BatchNorm``.

    Example
    -------
    >>> layer = BatchRenorm(1)
    >>> x = torch.tensor([[1.0], [3.0]])  # running mean 0 and variance 1: nothing is clipped, y = x
    >>> layer(x).detach().round(decimals=3).flatten().tolist()
    [1.0, 3.0]
    >>> layer.running_mean  # 0.9 * 0 + 0.1 * 2
    tensor([0.2000])
    """

    def __init__(
        self,
        num_features: int,
        r_max: float = 3.0,
        d_max: float = 5.0,
        *,
        eps: float = 1e-5,
        momentum: float = 0.1,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        for name, value, least in (("r_max", r_max, 1.0), ("d_max", d_max, 0.0)):
            if not isinstance(value, NUMBER) or not value >= least:
                raise InputError(f"{name} = {value!r}", allowed=f"a number of {least:g} or more")
        check_positive("momentum", momentum, write="0.1")
        super().__init__(num_features, eps, momentum, device=device, dtype=dtype)
        self.r_max, self.d_max = float(r_max), float(d_max)

    def forward(self, x: Tensor) -> Tensor:
        """y of the shape of x [N, C, ...]."""
        if not self.training:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        mean, var = self.running_mean, self.running_var
        assert mean is not None
        assert var is not None
        with torch.no_grad():
            over = [i for i in range(x.ndim) if i != 1]
            batch_mean, batch_var = x.mean(over), x.var(over, correction=0)
            sigma, batch_sigma = (var + self.eps).sqrt(), (batch_var + self.eps).sqrt()
            rho = (batch_sigma / sigma).clamp(1.0 / self.r_max, self.r_max)
            d = ((batch_mean - mean) / sigma).clamp(-self.d_max, self.d_max)
        # gamma (z rho + d) + beta: rho and d belong to the affine part, torch's kernel does the rest.
        y = F.batch_norm(
            x, mean, var, self.weight * rho, self.weight * d + self.bias, True, self.momentum or 0.0, self.eps
        )
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        return y

    def extra_repr(self) -> str:
        """As torch shows its layers."""
        return f"{self.num_features}, r_max={self.r_max:g}, d_max={self.d_max:g}, eps={self.eps:g}"
