"""Scene code: MRML nodes, tables, plots and views; no Qt."""
