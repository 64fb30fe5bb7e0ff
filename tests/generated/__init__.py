"""Random architectures: programs that Hypothesis draws, the networks that they describe, and what must hold of all."""
