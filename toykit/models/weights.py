"""Weights of a network's body from a file in the layout of torchvision or timm."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from toykit._shared.tensors import load_tensors, reason
from toykit.models.vit import ViTBody


def load_weights(body: nn.Module, path: str | Path) -> None:
    """Load a state dict file into a network's body; the file's classifier (classifier.*, fc.*, head.*) is left out.

    Parameters
    ----------
    body : Module
        The body of a `Network`.
    path : str or Path
        A file that torch.save wrote. A position embedding of another size is resized.

    Raises
    ------
    FileNotFoundError
    ValueError
        The file cannot be read, or keys or shapes do not fit; the message names the file and the keys.
    """
    own = body.vit if isinstance(body, ViTBody) else body
    state = _resized(_read(path), own)
    expected = own.state_dict()
    # old files lack these counters, which are not used
    state = {k: v for k, v in expected.items() if k.endswith("num_batches_tracked")} | state
    problems = {
        "missing": sorted(set(expected) - set(state)),
        "unexpected": sorted(set(state) - set(expected)),
        "of another shape": sorted(k for k in set(expected) & set(state) if expected[k].shape != state[k].shape),
    }
    if any(problems.values()):
        listed = "; ".join(f"{len(k)} {kind}: {', '.join(k[:5])}" for kind, k in problems.items() if k)
        raise ValueError(f"{path}: not the weights of this network's body, a {type(own).__name__}. Keys {listed}")
    own.load_state_dict(state)


def _read(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict and leave out its classifier."""
    try:
        state = load_tensors(path)
        return {key: value for key, value in state.items() if key.split(".")[0] not in ("classifier", "fc", "head")}
    except FileNotFoundError:
        raise
    except Exception as error:
        raise ValueError(
            f"{path}: cannot be read as a state dict of tensors saved by torch.save ({reason(error)})"
        ) from error


def _resized(state: dict[str, Tensor], body: Any) -> dict[str, Tensor]:
    """Resize a vision transformer's position embedding to the body's grid of patches."""
    if "pos_embed" not in state or not hasattr(body, "patch_embed"):
        return state
    from timm.layers.pos_embed import resample_abs_pos_embed

    grid, prefix = list(body.patch_embed.grid_size), body.num_prefix_tokens
    return state | {"pos_embed": resample_abs_pos_embed(state["pos_embed"], grid, num_prefix_tokens=prefix)}
