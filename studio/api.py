"""The only module that plugins import: the contracts of `studio.core`."""

from studio.core.artifact import Artifact, ExternalFile, open_artifact
from studio.core.assignment import Assignment, Item, Limits, assign
from studio.core.attribution import attribute, by_kernel
from studio.core.batching import Feed, feeds_for, fixed_batch, has_batch_axis, run_batch
from studio.core.classes import class_scores, same_class
from studio.core.cpu import CpuInfo, cpu_info
from studio.core.dataflow import Dataflow, least_bytes, lifetimes, peak_bytes, read_dataflow
from studio.core.dataset import Batch, Dataset, DatasetReader
from studio.core.device import Device, DeviceKind, UnavailableDevice
from studio.core.engine import Engine
from studio.core.environment import Environment
from studio.core.errors import (
    BurnishError,
    Cancelled,
    DataError,
    ModelError,
    PassError,
    PluginError,
    RuntimeLoadError,
    StoreError,
    UsageError,
    VerificationError,
    nearest,
)
from studio.core.evaluation import Difference, Evaluation
from studio.core.exporter import ExportContext, Exporter, ExportResult, Golden
from studio.core.feeds import check_feeds
from studio.core.flow import Flow, GoOn, flow_of
from studio.core.frozen import Frozen, canonical_json, digest
from studio.core.grafting.grafter import Grafter, Scion
from studio.core.hardware import Accelerator, accelerators, cpu_device
from studio.core.interface import METADATA, InterfaceChange, changes_text, parse_changes
from studio.core.intervals import fraction_estimate, mean_estimate
from studio.core.linear import Linear, Window, padding
from studio.core.machine.change import Change
from studio.core.measurement import Measurement, Memory
from studio.core.memo import Memo
from studio.core.memoryplan import MemoryPlan, PlannedTensor, plan_memory, plan_order
from studio.core.metric import Estimate, Metric
from studio.core.modelfile import read_model, read_proto, write_model, write_proto
from studio.core.moments import Moments, Site, gather_moments, moment_bytes, observe
from studio.core.optiontable import OptionTable
from studio.core.params import Params, ParamSpec, describe, param
from studio.core.passes import Family, Need, NodeChange, Pass, PassContext, PassResult, Range, Survey
from studio.core.pixels import SUFFIXES as PICTURE_SUFFIXES
from studio.core.pixels import PictureError, fit, open_picture, picture_geometry, pixels_source, read_picture
from studio.core.preprocessing import PRESETS, Preprocessing, parse_preprocessing, preprocessing_text
from studio.core.provenance import node_names, trace
from studio.core.recipe import Recipe, Step, recipe_toml
from studio.core.report import Reporter, SilentReporter
from studio.core.runtime import (
    Dimension,
    ExecutedNode,
    LoadedModel,
    RunOptions,
    Runtime,
    TensorInfo,
    as_numpy_dtype,
)
from studio.core.scope import Scope
from studio.core.sensing import OutputError, Sensor, layer_times, profile
from studio.core.sensitivity import Group, LayerOption, decibels, grouped
from studio.core.setmetric import SetMetric, Statistic, ragged
from studio.core.signature import Signature, read_signature
from studio.core.source import LabelKind, Part, Reading, Source
from studio.core.weights import Weight, find_weights, left_alone, named_nodes, replace_content

__all__ = [
    "METADATA",
    "PICTURE_SUFFIXES",
    "PRESETS",
    "Accelerator",
    "Artifact",
    "Assignment",
    "Batch",
    "BurnishError",
    "Cancelled",
    "Change",
    "CpuInfo",
    "DataError",
    "Dataflow",
    "Dataset",
    "DatasetReader",
    "Device",
    "DeviceKind",
    "Difference",
    "Dimension",
    "Engine",
    "Environment",
    "Estimate",
    "Evaluation",
    "ExecutedNode",
    "ExportContext",
    "ExportResult",
    "Exporter",
    "ExternalFile",
    "Family",
    "Feed",
    "Flow",
    "Frozen",
    "GoOn",
    "Golden",
    "Grafter",
    "Group",
    "InterfaceChange",
    "Item",
    "LabelKind",
    "LayerOption",
    "Limits",
    "Linear",
    "LoadedModel",
    "Measurement",
    "Memo",
    "Memory",
    "MemoryPlan",
    "Metric",
    "ModelError",
    "Moments",
    "Need",
    "NodeChange",
    "OptionTable",
    "OutputError",
    "ParamSpec",
    "Params",
    "Part",
    "Pass",
    "PassContext",
    "PassError",
    "PassResult",
    "PictureError",
    "PlannedTensor",
    "PluginError",
    "Preprocessing",
    "Range",
    "Reading",
    "Recipe",
    "Reporter",
    "RunOptions",
    "Runtime",
    "RuntimeLoadError",
    "Scion",
    "Scope",
    "Sensor",
    "SetMetric",
    "Signature",
    "SilentReporter",
    "Site",
    "Source",
    "Statistic",
    "Step",
    "StoreError",
    "Survey",
    "TensorInfo",
    "UnavailableDevice",
    "UsageError",
    "VerificationError",
    "Weight",
    "Window",
    "accelerators",
    "as_numpy_dtype",
    "assign",
    "attribute",
    "by_kernel",
    "canonical_json",
    "changes_text",
    "check_feeds",
    "class_scores",
    "cpu_device",
    "cpu_info",
    "decibels",
    "describe",
    "digest",
    "feeds_for",
    "find_weights",
    "fit",
    "fixed_batch",
    "flow_of",
    "fraction_estimate",
    "gather_moments",
    "grouped",
    "has_batch_axis",
    "layer_times",
    "least_bytes",
    "left_alone",
    "lifetimes",
    "mean_estimate",
    "moment_bytes",
    "named_nodes",
    "nearest",
    "node_names",
    "observe",
    "open_artifact",
    "open_picture",
    "padding",
    "param",
    "parse_changes",
    "parse_preprocessing",
    "peak_bytes",
    "picture_geometry",
    "pixels_source",
    "plan_memory",
    "plan_order",
    "preprocessing_text",
    "profile",
    "ragged",
    "read_dataflow",
    "read_model",
    "read_picture",
    "read_proto",
    "read_signature",
    "recipe_toml",
    "replace_content",
    "run_batch",
    "same_class",
    "trace",
    "write_model",
    "write_proto",
]
