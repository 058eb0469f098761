"""Fusion necks: several streams in, one vector out."""
