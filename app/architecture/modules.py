"""Operations with parameters of their own: what the real implementation writes as a module."""

from collections.abc import Sequence

from .operations import (
    Axis,
    Convolution,
    Embedding,
    Hold,
    Linear,
    Norm,
    Parameter,
    Role,
    Split,
    State,
    Tensor,
)
from .recorder import Recorder


class Modules(Recorder):
    """Linear maps, norms, tables and convolutions, each recorded with its weights."""

    def linear(
        self,
        name: str,
        x: Tensor,
        fan_out: int,
        *,
        bias: bool = False,
        split: Split | None = None,
        role: Role = Role.LINEAR,
        module: bool = True,
        transposed: bool = False,
        tied: bool = False,
        groups: int = 1,
        axis: Axis | None = None,
        fan_in: int | None = None,
        dtype: str | None = None,
        stored: tuple[int, ...] | None = None,
        head: bool | None = None,
    ) -> Tensor:
        """x W^T + b. `transposed` stores [in, out]; `groups` makes it block-diagonal; `stored`: the shape
        of a weight that is kept otherwise. `head` [by role]: whether adapters leave it out as the output."""
        width = x.width if fan_in is None else fan_in
        shape = stored or ((width, fan_out) if transposed else (fan_out, width // groups))
        weight_name = f"{name}.weight" if module else name
        parameters = [
            self.parameter(
                weight_name, shape, role, split=split, tied=tied, transposed=transposed, dtype=dtype
            )
        ]
        if bias:
            bias_split = split if split and split.dim == 0 else None
            bias_name = f"{name}.bias" if module else f"{name}_bias"
            parameters.append(self.parameter(bias_name, (fan_out,), Role.BIAS, split=bias_split, dtype=dtype))
        rows = (
            x.width // width if width else 1
        )  # a wider tensor is several rows side by side (per-head projections)
        out = self.tensor(fan_out * max(1, rows), axis or x.axis)
        return self._add(
            Linear(
                self.path(name),
                (x,),
                (out,),
                tuple(parameters),
                width,
                fan_out,
                module,
                groups,
                role is Role.HEAD if head is None else head,
            )
        )

    def unused_linear(
        self, name: str, fan_in: int, fan_out: int, *, bias: bool = False, tied: bool = False
    ) -> None:
        """A linear module that the forward pass doesn't call; adapters find it all the same."""
        parameters = [self.parameter(f"{name}.weight", (fan_out, fan_in), Role.LINEAR, tied=tied)]
        if bias:
            parameters.append(self.parameter(f"{name}.bias", (fan_out,), Role.BIAS))
        nothing = self.tensor(0, Axis.ONE)
        self._add(Linear(self.path(name), (nothing,), (nothing,), tuple(parameters), fan_in, fan_out))

    def norm(
        self,
        name: str,
        x: Tensor,
        *,
        style: str = "rms",
        width: int | None = None,
        bias: bool | None = None,
        weight: bool = True,
        gate: Tensor | None = None,
        shape: tuple[int, ...] | None = None,
        dtype: str | None = None,
        split: Split | None = None,
    ) -> Tensor:
        """Normalise stretches of `width` [whole row]; a LayerNorm has a bias unless told otherwise."""
        width = width or x.width
        weight = weight and not style.endswith("_plain")
        own = f"{name}." if name else ""  # a norm that is the whole block has no name in it
        parameters: list[Parameter] = []
        if weight:
            parameters.append(
                self.parameter(f"{own}weight", shape or (width,), Role.NORM, dtype=dtype, split=split)
            )
        if bias if bias is not None else (style in ("layer", "layer_one_plus") and weight):
            parameters.append(
                self.parameter(f"{own}bias", shape or (width,), Role.NORM, dtype=dtype, split=split)
            )
        inputs = (x,) if gate is None else (x, gate)
        out = self.tensor(x.width, x.axis)
        return self._add(
            Norm(
                self.path(name),
                inputs,
                (out,),
                tuple(parameters),
                style,
                width,
                max(1, x.width // width if width else 1),
            )
        )

    def embedding(
        self,
        name: str,
        rows: int,
        width: int,
        *,
        axis: Axis = Axis.TOKENS,
        role: Role = Role.EMBEDDING,
        module: bool = True,
        tied: bool = False,
        split: Split | None = None,
    ) -> Tensor:
        """Rows of a table looked up by integers."""
        weight = self.parameter(
            f"{name}.weight" if module else name, (rows, width), role, tied=tied, split=split
        )
        out = self.tensor(width, axis)
        return self._add(Embedding(self.path(name), (), (out,), (weight,), rows, width))

    def convolution(
        self,
        name: str,
        x: Tensor,
        channels_out: int,
        *,
        kernel: Sequence[int],
        groups: int = 1,
        bias: bool = True,
        axis: Axis | None = None,
        channels_in: int | None = None,
        state: State | None = None,
        split: Split | None = None,
        cut: bool = True,
        per_row: int = 1,
    ) -> Tensor:
        """A convolution over `kernel` extents; depthwise when `groups` equals the channels.

        `per_row`: positions of its output that one row stands for, where later layers are coarser.
        """
        channels_in = channels_in or x.width
        shape = (channels_out, channels_in // groups, *kernel)
        parameters = [self.parameter(f"{name}.weight", shape, Role.CONVOLUTION, split=split)]
        if bias:
            parameters.append(self.parameter(f"{name}.bias", (channels_out,), Role.BIAS, split=split))
        reach = 1
        for extent in kernel:
            reach *= extent
        out = self.tensor(channels_out * per_row, axis or x.axis)
        return self._add(
            Convolution(
                self.path(name),
                (x,),
                (out,),
                tuple(parameters),
                channels_in,
                channels_out,
                reach,
                groups,
                state,
                cut,
            )
        )

    def hold(self, *parameters: Parameter) -> None:
        """Parameters that a module owns and no recorded operation uses."""
        self.operations.append(Hold(self.path(""), (), (self.tensor(0, Axis.ONE),), parameters))
