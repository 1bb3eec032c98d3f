"""Self-labelling as a loss: eq. (8) for a mini-batch (`loss`), how its terms are balanced (`balance`), and its cells (`cells`)."""

from toykit.self_labeling.loss import TRAINING, SelfLabelingLoss

__all__ = ["TRAINING", "SelfLabelingLoss"]
