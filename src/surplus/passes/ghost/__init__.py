"""Per-example gradients without forming them; the door of this folder is that of `passes`."""
