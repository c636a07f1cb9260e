r"""Noise added to the gradient just before it is used: sigma_t = c / (1 + t)^r."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from diagkit.errors import InputError
from diagkit.objective import check_seed
from diagkit.training.annealing import check_level, noise_level
from diagkit.training.run import StepInfo

HALF = (torch.float16, torch.bfloat16)


class GradientNoiseInjection:
    """While entered, noise is added to the gradient at each step of an optimizer; see ``add_gradient_noise``.

    Attributes
    ----------
    optimizer, c, r, seed : as given. steps : t, how many steps were taken with noise so far.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, c: float, r: float, seed: int) -> None:
        self.optimizer, self.c, self.r, self.seed, self.steps = optimizer, float(c), float(r), seed, 0
        self._generators: dict[torch.device, torch.Generator] = {}
        self._hook: Any = None

    @property
    def sigma(self) -> float:
        """Standard deviation of the noise in the step to come."""
        return float(noise_level(self.c, self.r, self.steps))

    def __enter__(self) -> GradientNoiseInjection:
        if self._hook is not None:
            raise InputError(
                "gradient noise that is being added already",
                allowed="one entrance at a time: as a context manager or as a callback of dk.train",
                write="a second add_gradient_noise(...) where twice the noise is meant",
            )
        self._hook = self.optimizer.register_step_pre_hook(self._before_step)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hook.remove()
        self._hook = None

    def on_step(self, info: StepInfo) -> None:
        """After each step of ``dk.train``, which enters and leaves: is it this optimizer that took it?"""
        if info.optimizer is not self.optimizer:
            raise InputError(
                "noise for another optimizer than the one that trains",
                allowed="one and the same optimizer object",
                write="dk.train(..., optimizer=opt, callbacks=[dk.add_gradient_noise(opt, c, r)])",
            )

    def __repr__(self) -> str:
        name = type(self.optimizer).__name__
        return f"GradientNoiseInjection({name}, c={self.c:g}, r={self.r:g}, steps={self.steps})"

    def _before_step(self, optimizer: Any, args: Any, kwargs: Any) -> tuple[Any, Any] | None:
        """The gradient stands in ``.grad`` now, or, with a closure, when that has been called."""
        closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
        if closure is None:
            self._add()
            return None
        noisy = self._once_and_noise(closure)
        return (
            (args, kwargs | {"closure": noisy})
            if "closure" in kwargs
            else ((args[0], noisy, *args[2:]), kwargs)
        )

    def _once_and_noise(self, closure: Callable[[], Any]) -> Callable[[], Any]:
        calls = 0

        def noisy() -> Any:
            nonlocal calls
            calls += 1
            if calls > 1:
                raise several_evaluations(self.optimizer)
            loss = closure()
            with torch.no_grad():
                self._add()
            return loss

        return noisy

    @torch.no_grad()
    def _add(self) -> None:
        held = [p.grad for group in self.optimizer.param_groups for p in group["params"]]
        gradients = [g for g in held if g is not None]
        if any(g.is_sparse for g in gradients):
            raise InputError(
                "a sparse gradient, to which noise in each entry cannot be added",
                allowed="dense gradients",
                write="torch.nn.Embedding(..., sparse=False)",
            )
        # A fused optimizer is handed scaled gradients by GradScaler and divides by this itself.
        scale = getattr(self.optimizer, "grad_scale", None)
        for gradient in gradients:
            noise = self._normal(gradient)
            factor = self.sigma if scale is None else self.sigma * scale.to(gradient.device)
            gradient.add_(noise * factor)
        self.steps += 1

    def _normal(self, like: Tensor) -> Tensor:
        """Standard normal numbers in each real entry, each device from a generator of its own."""
        if like.is_complex():
            return torch.view_as_complex(self._normal(torch.view_as_real(like)))
        device = like.device
        if device not in self._generators:
            self._generators[device] = torch.Generator(device).manual_seed(int(self.seed))
        dtype = torch.float32 if like.dtype in HALF else like.dtype
        return torch.randn(like.shape, generator=self._generators[device], device=device, dtype=dtype)


def add_gradient_noise(
    optimizer: torch.optim.Optimizer, c: float, r: float, seed: int = 0
) -> GradientNoiseInjection:
    r"""Anneal gradient noise: in step t = 0, 1, ... of ``optimizer``, each entry of each gradient becomes

    .. math:: g \leftarrow g + \sigma_t\, \xi, \qquad \xi \sim N(0, 1), \qquad \sigma_t = \frac{c}{(1 + t)^r}.

    The noise enters in ``optimizer.step()``, hence after any clipping that the loop does, as in Neelakantan
    et al. 2015 (arXiv:1511.06807). They write :math:`\sigma_t^2 = \eta / (1 + t)^{0.55}` with eta in {0.01,
    0.3, 1}: here ``c = eta**0.5, r = 0.275``.

    A context manager, or one of the callbacks of ``dk.train``, which enters it for the run. ``.grad`` holds
    the noise until it is zeroed; at the exit the optimizer has its old hooks. The numbers come from
    generators of its own, one for each device, all started at ``seed``: the random state of the run is not
    touched, and ranks that train one model in step add the same noise. Entered again, t and the numbers go on
    where they stopped; a new call starts over. ``.steps`` is t, ``.sigma`` the level of the next step.

    Parameters of which ``.grad`` is None are skipped by the optimizer and get no noise. Complex gradients get
    it in the real and in the imaginary part, half-precision ones in float32 before they are rounded. Under
    ``GradScaler`` the noise is in unscaled units, also where a fused optimizer unscales by itself; a step
    that the scaler leaves out does not count, except with a fused one, which leaves it out unseen. A closure
    is called first, then the noise added; optimizers that call it several times within a step (LBFGS) compare
    losses and gradients with each other and are refused.

    Parameters
    ----------
    c, r : 0 or more; c in the units of the gradient. ``c=0`` is the control without noise.

    Raises
    ------
    InputError : no torch optimizer, LBFGS, c or r below 0, a sparse gradient, a second entrance while
        entered.

    Example
    -------
    >>> w = torch.nn.Parameter(torch.zeros(50_000))
    >>> sgd = torch.optim.SGD([w], lr=1.0)
    >>> with add_gradient_noise(sgd, c=2.0, r=1.0) as noise:
    ...     for _ in range(2):  # no gradient but the noise: variance 2^2 + 1^2
    ...         w.grad = torch.zeros_like(w)
    ...         sgd.step()
    >>> noise, round(float(w.detach().var()), 1)
    (GradientNoiseInjection(SGD, c=2, r=1, steps=2), 5.0)
    """
    if not hasattr(optimizer, "register_step_pre_hook"):
        raise InputError(
            f"optimizer of type {type(optimizer).__name__}",
            allowed="a torch.optim.Optimizer (inside a wrapper: the optimizer that it wraps)",
            write="dk.add_gradient_noise(torch.optim.SGD(model.parameters(), lr=0.1), c, r)",
        )
    closure = inspect.signature(optimizer.step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise several_evaluations(optimizer)
    check_level(c, r)
    check_seed(seed)
    return GradientNoiseInjection(optimizer, c, r, seed)


def several_evaluations(optimizer: Any) -> InputError:
    """An optimizer within whose step the gradient is evaluated more than once."""
    return InputError(
        f"{type(optimizer).__name__}, which evaluates the gradient several times within one step",
        allowed="optimizers that take one gradient a step: others compare evaluations, which noise misleads",
        write="torch.optim.SGD or torch.optim.Adam",
    )
