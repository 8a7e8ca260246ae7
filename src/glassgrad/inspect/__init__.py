"""Looking at what the engine computes."""

from .layers import LayerRow, LayerTable, layer_table

__all__ = ["layer_table", "LayerTable", "LayerRow"]
