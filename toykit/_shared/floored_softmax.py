"""Softmax with a floor, forwards and backwards, in as few passes over memory as torch needs for its own."""

import torch
from torch import Tensor


class FlooredSoftmax(torch.autograd.Function):
    """``FlooredSoftmax.apply(logits, dim, lowest)``: softmax of logits of which none lies more than -lowest below the largest.

    The gradient is that of softmax at this point, as if there were no floor ("straight through").
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(logits: Tensor, dim: int, lowest: float) -> Tensor:
        # torch.softmax rounds differently beside the borders of threads' shares; these steps do not, and are as fast
        shares = (logits - logits.amax(dim, keepdim=True)).clamp_min_(lowest).exp_()
        return shares.div_(shares.sum(dim, keepdim=True))

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor, int, float], output: Tensor) -> None:
        ctx.save_for_backward(output)
        ctx.save_for_forward(output)
        ctx.dim = inputs[1]

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        return _times_jacobian(ctx.saved_tensors[0], grad_outputs[0], ctx.dim), None, None

    @staticmethod
    def jvp(ctx, *grad_inputs: Tensor) -> Tensor:
        return _times_jacobian(ctx.saved_tensors[0], grad_inputs[0], ctx.dim)


def _times_jacobian(p: Tensor, x: Tensor, dim: int) -> Tensor:
    """Compute (diag(p) - p p^T) x; the matrix is symmetric."""
    product = p * x
    return product.sub_(p * product.sum(dim, keepdim=True))
