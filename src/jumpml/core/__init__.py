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
    PretrainedError,
    Problem,
    RunError,
    SpecError,
    Terminated,
    did_you_mean,
)
from jumpml.core._evaluation_record import (
    Calibration,
    Continuation,
    DecidedMap,
    EvaluationRecord,
    LabelCounts,
    LabelledText,
    Reconstruction,
    TaskEvaluation,
)
from jumpml.core._field_spec import TextField, TokenLabelsField
from jumpml.core._files import sha256_of, sync_folder, write_file, write_json
from jumpml.core._graph_record import GraphRecord, ObjectiveNote, TaskNote
from jumpml.core._grow_spec import GrowSpec
from jumpml.core._history import ExampleHistory, History
from jumpml.core._initialize_spec import InitializeSpec
from jumpml.core._learner_spec import LearnerSpec, PhaseSpec
from jumpml.core._load_spec import SPECS, SpecSource, load_spec
from jumpml.core._model_spec import LayerSpec, ModelSpec, NodeSpec, TaskSpec
from jumpml.core._objective_spec import TaskObjectiveSpec
from jumpml.core._overrides import parse_override
from jumpml.core._placing import join_errors, refusal, with_lines
from jumpml.core._pretrained_spec import PretrainedNode, WeightsSpec, anchored, local
from jumpml.core._protocols import Connectable, Growable, Loss, Objective, Recorded, Remembering, Trainer, Training
from jumpml.core._random import derive_seed
from jumpml.core._record import Curve, Figure, Record
from jumpml.core._records import (
    AttributedExample,
    Attribution,
    DeploymentRecord,
    DiagnosisRecord,
    EpochRecord,
    GateAnswer,
    HardExample,
    OutOfDomain,
    VariantRecord,
    WeightsRecord,
)
from jumpml.core._run_record import InitializationRecord, RunRecord
from jumpml.core._schedule_spec import ScheduleSpec
from jumpml.core._schema import json_schema
from jumpml.core._source_spec import MISSING_TEXTS, CsvSource
from jumpml.core._spec import DATA_ENDINGS, FileSpec, Spec
from jumpml.core._tasks import TASK_KINDS, WITH_HISTORY, WITH_QUANTILES, Task, TaskKind, brought, options_problem
from jumpml.core._text_table import text_table
from jumpml.core._trust import UntrustedNameError, resolve_class, resolve_function
from jumpml.core._values import (
    COVERED,
    MASK,
    NEXT,
    PRESENT,
    FieldInfo,
    ValueInfo,
    derived_of,
    field_of,
    masks_of,
    nexts_of,
)
from jumpml.core._weight import Weight, WeightSchedule, as_weight
from jumpml.core._write_yaml import to_yaml

__all__ = [
    "Weight",
    "WeightSchedule",
    "as_weight",
    "Connectable",
    "AttributedExample",
    "Attribution",
    "Calibration",
    "CheckpointError",
    "CsvSource",
    "Continuation",
    "Curve",
    "DecidedMap",
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
    "DATA_ENDINGS",
    "FileSpec",
    "GateAnswer",
    "GraphError",
    "GrowSpec",
    "Growable",
    "HardExample",
    "History",
    "InitializationRecord",
    "InitializeSpec",
    "JumpMLError",
    "LabelCounts",
    "LabelledText",
    "LearnerError",
    "LayerSpec",
    "LearnerSpec",
    "Loss",
    "COVERED",
    "MASK",
    "MISSING_TEXTS",
    "NEXT",
    "PRESENT",
    "MissingExtraError",
    "Mistake",
    "ModelSpec",
    "NodeSpec",
    "NonFiniteLossError",
    "Objective",
    "ObjectiveError",
    "PhaseSpec",
    "ScheduleSpec",
    "OutOfDomain",
    "PretrainedError",
    "PretrainedNode",
    "Problem",
    "Reconstruction",
    "Record",
    "Recorded",
    "Remembering",
    "RunError",
    "RunRecord",
    "GraphRecord",
    "ObjectiveNote",
    "TaskNote",
    "SPECS",
    "Spec",
    "SpecError",
    "SpecSource",
    "SplitSources",
    "TASK_KINDS",
    "WITH_HISTORY",
    "WITH_QUANTILES",
    "Task",
    "TaskEvaluation",
    "TaskKind",
    "TaskObjectiveSpec",
    "TaskSpec",
    "Terminated",
    "TextField",
    "TokenLabelsField",
    "Trainer",
    "Training",
    "UntrustedNameError",
    "ValueInfo",
    "VariantRecord",
    "WeightsRecord",
    "WeightsSpec",
    "anchored",
    "derive_seed",
    "derived_of",
    "did_you_mean",
    "field_of",
    "join_errors",
    "json_schema",
    "load_spec",
    "local",
    "masks_of",
    "nexts_of",
    "brought",
    "options_problem",
    "parse_override",
    "refusal",
    "resolve_class",
    "resolve_function",
    "sha256_of",
    "sync_folder",
    "text_table",
    "to_yaml",
    "with_lines",
    "write_file",
    "write_json",
]
