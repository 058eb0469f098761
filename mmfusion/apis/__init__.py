"""Trained models by where they lie: a run, a checkpoint, a folder, a config."""

from mmfusion.apis.loading import LoadedModel, load_model

__all__ = ["LoadedModel", "load_model"]
