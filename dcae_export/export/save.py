"""Save a graph: weights inside the .onnx file, or beside it where they are many."""

from pathlib import Path

import onnx_ir as ir

from dcae_export.errors import UsageError
from dcae_export.export.options import ExportOptions

EXTERNAL_FROM_BYTES = 16 * 2**20
SINGLE_FILE_BYTES = 1_900_000_000
WEB_SHARD_BYTES = 2**30
# A weight smaller than this stays in the .onnx: shapes, scalars and channel orders must, and biases cost
# nothing there.
INLINE_BYTES = 2**15
DATA_ALIGNMENT = 65536


def save_graph(model: ir.Model, path: Path, options: ExportOptions) -> tuple[Path, ...]:
    """Save ``model`` at ``path`` in place of what an earlier attempt left there.

    Returns:
        The files of its external weights.

    Raises:
        UsageError: The weights do not fit in the single file that was asked for.
    """
    for old in _files(path):
        old.unlink()
    total = sum(
        value.const_value.nbytes
        for value in model.graph.initializers.values()
        if value.const_value is not None
    )
    if options.single_file and total > SINGLE_FILE_BYTES:
        raise UsageError(
            f"{path.name}: {total / 1e9:.1f} GB of weights do not fit in one file; leave out --single-file"
        )
    if options.single_file or total < EXTERNAL_FROM_BYTES:
        ir.save(model, path)  # pyright: ignore[reportUnknownMemberType] - half typed
        return ()
    ir.save(  # pyright: ignore[reportUnknownMemberType] - half typed
        model,
        path,
        external_data=f"{path.name}.data",
        size_threshold_bytes=INLINE_BYTES,
        max_shard_size_bytes=WEB_SHARD_BYTES if options.target == "web" else None,
        alignment=DATA_ALIGNMENT,
    )
    return tuple(file for file in _files(path) if file != path)


def _files(path: Path) -> list[Path]:
    """The graph's file and its weights', in pieces or not: a piece is NAME-00001-of-00002.onnx.data."""
    return sorted(path.parent.glob(f"{path.stem}*{path.suffix}*"))
