"""One run: the loop, the recorder for a loop of one's own, and the history that either leaves behind."""

from diagkit.training.curvature_track import CurvatureTrack
from diagkit.training.curvature_tracker import CurvatureTracker
from diagkit.training.history import History, as_history
from diagkit.training.log_files import read_history
from diagkit.training.loop import train
from diagkit.training.minibatches import Minibatches
from diagkit.training.recorder import Recorder
from diagkit.training.records import history_of_records
from diagkit.training.run import StepInfo, StopTraining, TrainingRun

__all__ = [
    "CurvatureTrack",
    "CurvatureTracker",
    "History",
    "Minibatches",
    "Recorder",
    "StepInfo",
    "StopTraining",
    "TrainingRun",
    "as_history",
    "history_of_records",
    "read_history",
    "train",
]
