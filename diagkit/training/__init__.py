"""One run: the loop, the recorder for a loop of one's own, and the history that either leaves behind."""

from diagkit.training.annealing import NoiseAnnealing, noise_annealing
from diagkit.training.curvature_track import CurvatureTrack
from diagkit.training.curvature_tracker import CurvatureTracker
from diagkit.training.descent import DescentPath, descent_path, descent_stages
from diagkit.training.feature_scaling import Scaling, fit_scaling
from diagkit.training.gradient_noise_injection import GradientNoiseInjection, add_gradient_noise
from diagkit.training.history import History, as_history
from diagkit.training.log_files import read_history
from diagkit.training.loop import train
from diagkit.training.minibatches import Minibatches
from diagkit.training.normalization import BatchRenorm, with_normalization
from diagkit.training.recorder import Recorder
from diagkit.training.records import history_of_records
from diagkit.training.run import StepInfo, StopTraining, TrainingRun
from diagkit.training.trajectory_recorder import TrajectoryRecorder

__all__ = [
    "BatchRenorm",
    "CurvatureTrack",
    "CurvatureTracker",
    "DescentPath",
    "GradientNoiseInjection",
    "History",
    "Minibatches",
    "NoiseAnnealing",
    "Recorder",
    "Scaling",
    "StepInfo",
    "StopTraining",
    "TrainingRun",
    "TrajectoryRecorder",
    "add_gradient_noise",
    "as_history",
    "descent_path",
    "descent_stages",
    "fit_scaling",
    "history_of_records",
    "noise_annealing",
    "read_history",
    "train",
    "with_normalization",
]
