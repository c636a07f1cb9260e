"""The surface explorer: choose a plane, watch its picture improve, read the loss at any place of it."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from diagkit.errors import InputError
from diagkit.measure.price import check_objective
from diagkit.measure.surface import Plane, PlaneSlice, refine_loss_plane
from diagkit.measure.surface.planes import NAMED, as_plane
from diagkit.measure.surface.reading import Reading, read_loss
from diagkit.objective import Objective, check_positive, check_seed
from diagkit.result import show_number
from diagkit.widgets import controls
from diagkit.widgets.panel import Panel
from diagkit.widgets.screen import Screen
from diagkit.widgets.surface_view import SurfaceView, in_words
from diagkit.work import interrupted, progress

CELLS = 51  # of a picture, along either side
EXTENTS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
TRAINING, VALIDATION = "training", "validation"


@dataclass(frozen=True)
class SurfaceSettings:
    """plane : which directions. extent : how far the picture reaches, in their units. seed : of random ones.

    data : the surface on view. a, b : the place whose loss is read.
    """

    plane: str = "random"
    extent: float = 1.0
    data: str = TRAINING
    seed: int = 0
    a: float = 0.0
    b: float = 0.0

    def __post_init__(self) -> None:
        check_positive("extent", self.extent, write="1.0")
        check_seed(self.seed)
        if self.data not in (TRAINING, VALIDATION):
            raise InputError(f"data={self.data!r}", allowed=f"{TRAINING!r} or {VALIDATION!r}")
        if not (np.isfinite(self.a) and np.isfinite(self.b)):
            raise InputError(f"the place ({self.a}, {self.b})", allowed="two finite numbers")


@dataclass(frozen=True, eq=False)
class Surfaces:
    """The pictures of one plane. val : None where there are no validation data, or not yet."""

    plane: Plane
    train: PlaneSlice
    val: PlaneSlice | None = None

    @property
    def complete(self) -> bool:
        return self.train.complete and (self.val is None or self.val.complete)

    @property
    def by_name(self) -> dict[str, PlaneSlice]:
        return {TRAINING: self.train} | ({} if self.val is None else {VALIDATION: self.val})


class SurfacePanel(Panel[SurfaceSettings, Surfaces]):
    """Look at the loss over a plane; a click computes the loss at that place, by one pass.

    Parameters
    ----------
    obj, val_obj : the loss at the model's parameters, on training and on validation data. The model is never
        changed.
    planes : name -> what ``loss_plane`` takes as directions, for planes besides "random", "eigenvectors" and
        "gradient": a pair of vectors, a ``Plane``, a ``TrajectoryPlane`` (its path is drawn).
    to : a further checkpoint, or two: the plane through them is called "checkpoints".
    goal_loss : the target is a place where the loss is at most that.
    tol : error of a picture at which its refinement ends, as in ``loss_plane``.
    settings : the first ones, as of :class:`SurfaceSettings`.

    Attributes
    ----------
    result : the pictures. reading : the loss at the place (a, b) of the settings, computed and interpolated.

    Raises
    ------
    InputError : an unknown plane, objectives that do not fit each other, settings that are not allowed.
    """

    def __init__(
        self,
        obj: Objective,
        val_obj: Objective | None = None,
        *,
        planes: Mapping[str, Any] | None = None,
        to: Any = None,
        goal_loss: float | None = None,
        tol: float = 0.01,
        **settings: Any,
    ) -> None:
        self.obj, self.val_obj, self.goal_loss, self.tol = check_objective(obj), val_obj, goal_loss, tol
        check_positive("tol", tol, write="0.01")
        if val_obj is not None and check_objective(val_obj).num_params != obj.num_params:
            raise InputError(
                f"objectives of P = {obj.num_params} and {val_obj.num_params}",
                allowed="one model, on training and on validation data",
            )
        self.choices: dict[str, Any] = {name: {"directions": name} for name in NAMED}
        self.choices |= {} if to is None else {"checkpoints": {"to": to}}
        self.choices |= {name: {"directions": given} for name, given in (planes or {}).items()}
        first = SurfaceSettings(**settings)
        if first.plane not in self.choices:
            raise InputError(f"plane={first.plane!r}", allowed=f"one of {list(self.choices)}")
        if first.data == VALIDATION and val_obj is None:
            raise InputError("data='validation' without validation data", allowed="a val_obj")
        self._planes: dict[Hashable, Plane] = {}
        self._read: dict[Hashable, Reading] = {}
        screen = Screen()
        self.view = SurfaceView(screen)
        self.view.canvas.on_click(self._clicked)
        made: dict[str, Any] = {
            "plane": controls.choice("plane", list(self.choices), first.plane),
            "extent": controls.scale("extent (a, b)", EXTENTS, first.extent, "how far the picture reaches"),
            "data": controls.choice("loss on", [TRAINING, VALIDATION], first.data),
            "seed": controls.seed(first.seed),
            "a": controls.number("read at a", first.a),
            "b": controls.number("b", first.b),
        }
        if val_obj is None:
            del made["data"]
        goal = (
            ""
            if goal_loss is None
            else f"click a place where the loss is at most {show_number(goal_loss, 3)}"
        )
        super().__init__(screen, first, controls=made, view=[self.view.canvas.widget], live=True, goal=goal)

    def key(self, settings: SurfaceSettings) -> Hashable:
        return settings.plane, settings.extent, settings.seed

    def results(self, settings: SurfaceSettings) -> Iterator[Surfaces]:
        plane = self._plane(settings)
        objectives = [self.obj] if self.val_obj is None else [self.obj, self.val_obj]
        options: Any = {"extent": settings.extent, "resolution": CELLS, "tol": self.tol}
        stages = [refine_loss_plane(obj, plane, **options) for obj in objectives]
        # The coarse picture of training comes first, and then the two take turns.
        found = [next(stages[0])]
        with progress("cells computed", CELLS**2 * len(stages)) as advance:
            done = 0
            while True:
                yield Surfaces(plane, *found)
                advance(sum(picture.num_evals for picture in found) - done)
                done = sum(picture.num_evals for picture in found)
                better = [next(stage, None) for stage in stages]
                if not any(better):
                    return
                found = [new or old for new, old in zip_longest(better, found)]

    def _plane(self, settings: SurfaceSettings) -> Plane:
        """Both surfaces, and pictures of every extent, are of the same plane."""
        which = settings.plane, settings.seed
        if which not in self._planes:
            plane = as_plane(self.obj, **self.choices[settings.plane], seed=settings.seed)
            if interrupted():
                return plane  # eigenvectors may not have converged
            self._planes[which] = plane
        return self._planes[which]

    @property
    def reading(self) -> Reading:
        """The loss on the training data at the place of the settings."""
        return self._readings(self.result, self.settings)[TRAINING]

    def _readings(self, result: Surfaces, settings: SurfaceSettings) -> dict[str, Reading]:
        """Of each surface; computed here and now, by one pass each, since nothing else may use the model."""
        place = settings.a, settings.b
        objectives = {TRAINING: self.obj, VALIDATION: self.val_obj}
        for name, picture in result.by_name.items():
            if (picture, *place) not in self._read and (obj := objectives[name]) is not None:
                self._read[picture, *place] = read_loss(obj, result.plane, picture, *place)
        return {name: self._read[picture, *place] for name, picture in result.by_name.items()}

    def _known(self, result: Surfaces, settings: SurfaceSettings) -> dict[str, Reading]:
        """The readings, unless the model is at work."""
        return {} if self.runs.is_running else self._readings(result, settings)

    def reached(self, result: Surfaces, settings: SurfaceSettings) -> bool | None:
        known = self._known(result, settings)
        if self.goal_loss is None or not known:
            return None
        return known[TRAINING].computed <= self.goal_loss

    def draw(self, result: Surfaces | None, settings: SurfaceSettings) -> None:
        if result is None:
            return
        name = settings.data if settings.data in result.by_name else TRAINING
        self.view.draw(
            result.by_name,
            name,
            f"{name.capitalize()} loss, plane: {settings.plane}",
            (settings.a, settings.b),
            readings=self._known(result, settings),
            target=self.goal_loss,
            path=self._path(settings),
        )

    def _path(self, settings: SurfaceSettings) -> Any:
        return getattr(self.choices[settings.plane].get("directions"), "path", None)

    def words(self, result: Surfaces, settings: SurfaceSettings) -> str:
        return in_words(result.by_name, (settings.a, settings.b), self._known(result, settings))

    def _clicked(self, ax: Axes, x: float, y: float) -> None:
        if ax is self.view.map:
            step = 10.0 ** (np.floor(np.log10(self.settings.extent)) - 2)
            self.change(a=float(np.round(x / step) * step), b=float(np.round(y / step) * step))
