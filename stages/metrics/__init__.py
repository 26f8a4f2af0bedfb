"""Metrics: how good labels are, from plain arrays; no paths, no tables."""

from __future__ import annotations

from stages.metrics.temporal import average_precision_at_iou, average_recall_at_k

__all__ = ["average_precision_at_iou", "average_recall_at_k"]
