"""What files may say, named errors, run records, the protocols between layers. Imports neither torch nor a sibling."""

from jumpml.core._data_spec import Dataset, DataSpec, SplitSources
from jumpml.core._deploy_spec import DeploySpec
from jumpml.core._errors import (
    CheckpointError,
    DataError,
    DeploymentError,
    DiagnosisError,
    EvaluationError,
    GraphError,
    JumpMLError,
    LearnerError,
    MissingExtraError,
    Mistake,
    NonFiniteLossError,
    ObjectiveError,
    Problem,
    RunError,
    SpecError,
    did_you_mean,
)
from jumpml.core._files import sha256_of, sync_folder, write_file, write_json
from jumpml.core._history import ExampleHistory, History
from jumpml.core._learner_spec import LearnerSpec, PhaseSpec
from jumpml.core._load_spec import SPECS, SpecSource, load_spec
from jumpml.core._model_spec import ModelSpec
from jumpml.core._overrides import parse_override
from jumpml.core._placing import join_errors, refusal, with_lines
from jumpml.core._protocols import Loss, Objective, Recorded, Trainer, Training
from jumpml.core._random import derive_seed
from jumpml.core._records import (
    AttributedExample,
    Attribution,
    Calibration,
    Curve,
    DeploymentRecord,
    DiagnosisRecord,
    EpochRecord,
    EvaluationRecord,
    Figure,
    GateAnswer,
    HardExample,
    LabelCounts,
    OutOfDomain,
    Record,
    RunRecord,
    TaskEvaluation,
    VariantRecord,
)
from jumpml.core._schema import json_schema
from jumpml.core._spec import FileSpec, Spec
from jumpml.core._tasks import TASK_KINDS, Task, TaskKind
from jumpml.core._trust import UntrustedNameError, resolve_class, resolve_function
from jumpml.core._values import FieldInfo, ValueInfo

__all__ = [
    "AttributedExample",
    "Attribution",
    "Calibration",
    "CheckpointError",
    "Curve",
    "DataError",
    "DataSpec",
    "Dataset",
    "DeploySpec",
    "DeploymentError",
    "DeploymentRecord",
    "DiagnosisError",
    "DiagnosisRecord",
    "EpochRecord",
    "EvaluationError",
    "EvaluationRecord",
    "ExampleHistory",
    "FieldInfo",
    "Figure",
    "FileSpec",
    "GateAnswer",
    "GraphError",
    "HardExample",
    "History",
    "JumpMLError",
    "LabelCounts",
    "LearnerError",
    "LearnerSpec",
    "Loss",
    "MissingExtraError",
    "Mistake",
    "ModelSpec",
    "NonFiniteLossError",
    "Objective",
    "ObjectiveError",
    "PhaseSpec",
    "OutOfDomain",
    "Problem",
    "Record",
    "Recorded",
    "RunError",
    "RunRecord",
    "SPECS",
    "Spec",
    "SpecError",
    "SpecSource",
    "SplitSources",
    "TASK_KINDS",
    "Task",
    "TaskEvaluation",
    "TaskKind",
    "Trainer",
    "Training",
    "UntrustedNameError",
    "ValueInfo",
    "VariantRecord",
    "derive_seed",
    "did_you_mean",
    "join_errors",
    "json_schema",
    "load_spec",
    "parse_override",
    "refusal",
    "resolve_class",
    "resolve_function",
    "sha256_of",
    "sync_folder",
    "with_lines",
    "write_file",
    "write_json",
]
