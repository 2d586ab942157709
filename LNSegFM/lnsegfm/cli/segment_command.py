"""``lnsegfm segment``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lnsegfm.base.errors import UserError
from lnsegfm.base.outputs import check_distinct, check_outputs
from lnsegfm.cli.measure_command import as_rows, line_of
from lnsegfm.cli.output.progress_lines import ProgressLines
from lnsegfm.cli.terminal import Command, examples, open_session, print_json, say, terminal, warn
from lnsegfm.formats.image_names import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from lnsegfm.base.background import Progress
    from lnsegfm.lymph_nodes.instances import LymphNode
    from lnsegfm.segmentation.segment_files import BatchOutcome, SegmentedFile
    from lnsegfm.session.segmenting import Batch

_EXAMPLES = examples(
    "lnsegfm segment CT_FOLDER -o labels.nii.gz --measurements lymph-nodes.csv",
    "lnsegfm segment ct.nrrd -o labels.nrrd --quality fast --region body --min-short-axis 5",
    "lnsegfm segment imagesTs -o results      # every CT of a folder; the same command again continues",
)
_HELP = """Segment the lymph nodes of a CT, or of every CT in a folder.

    CT is a file (NIfTI, NRRD, MetaImage), a folder of DICOM slices, or a folder of such files and folders. With
    several CTs, or where OUTPUT has no suffix of an image, OUTPUT is the folder of the results.

    Labels lie on the CT's own grid, 1 is lymph node. NAME.segmentation.json beside them says which model, version and
    input made them.

    What cannot be a lymph node, such as one in air or in bone, is left out of labels and tables, and how much is said.

    JSON: an object with results (a list of ct, labels, state (segmented, skipped, failed), reason, model,
    model_sha256, device, seconds, expected_benefit, warnings, lymph_nodes and implausible (what was left out), both as
    in 'measure --json') and failed (how many). What is not known is null.
    """


def register(app: typer.Typer) -> None:
    """Register the command."""
    app.command("segment", cls=Command, help=_HELP, epilog=_EXAMPLES)(segment)


def segment(
    ct: Annotated[list[Path], typer.Argument(metavar="CT...", help="File or folder; several may be named.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUTPUT", help="Label file, or folder of results.")],
    model: Annotated[
        str, typer.Option(
            "--model", "-m", metavar="MODEL",
            help="Id of the model. [default: the default model, see 'models default'; never a demonstration model]",
        ),
    ] = "",
    quality: Annotated[
        Literal["fast", "standard", "best"],
        typer.Option(
            "--quality", help="fast: no mirroring, fewer tiles. standard: nnU-Net's own labels. best: more tiles."
        ),
    ] = "standard",
    region: Annotated[
        Literal["whole", "body"], typer.Option("--region", help="body leaves out what is around the patient.")
    ] = "whole",
    min_short_axis: Annotated[
        float, typer.Option("--min-short-axis", metavar="MM", help="Leave out lymph nodes with a smaller short axis.")
    ] = 0.0,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, mps, cuda or cuda:N.")] = "auto",
    backend: Annotated[
        str, typer.Option(
            "--backend",
            help="auto (OpenVINO on the CPU where it is installed, else PyTorch), torch, openvino, openvino-gpu, "
            "openvino-npu.",
        ),
    ] = "auto",
    precision: Annotated[
        Literal["auto", "single", "bfloat16"],
        typer.Option("--precision", help="auto: single on CPUs (fast: bfloat16 where that is faster), half on CUDA."),
    ] = "auto",
    probability: Annotated[
        Path | None,
        typer.Option("--probability", metavar="FILE", help="Image of the probability, 0 to 255; one CT only."),
    ] = None,
    measurements: Annotated[
        Path | None, typer.Option("--measurements", "--nodes", metavar="CSV", help="Table of the lymph nodes.")
    ] = None,
    series: Annotated[
        str, typer.Option("--series", metavar="UID", help="Series Instance UID, where a folder holds several series.")
    ] = "",
    keep_implausible: Annotated[
        bool, typer.Option(
            "--keep-implausible",
            help="Keep what cannot be a lymph node in labels and tables; a column of the table gives the reason.",
        ),
    ] = False,
    rejected: Annotated[bool, typer.Option("--rejected", help="Use the model although it was rejected.")] = False,
    assume_hu: Annotated[
        bool, typer.Option("--assume-hu", help="Take the values as HU although they do not look like it.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that were not written by an earlier segmentation.")
    ] = False,
) -> None:
    """Segment, see `_HELP`."""
    from lnsegfm.session.segmenting import SegmentChoices

    choices = SegmentChoices(
        model, device, quality, region, min_short_axis, rejected, assume_hu=assume_hu,
        keep_implausible=keep_implausible, backend=backend, precision=precision,
    )
    with open_session() as session, ProgressLines() as lines:

        def show(progress: Progress) -> None:
            lines.report(progress.fraction, progress.message)

        if len(ct) == 1 and output.name.lower().endswith(IMAGE_SUFFIXES):
            result = session.segment(
                ct[0], output, choices, probability=probability, measurements=measurements, series=series,
                overwrite=overwrite, progress=show,
            )
            _tell_one(result)
            return
        _refuse_for_several(output, probability=probability, series=series)
        batch = session.segment_folder(ct, output, choices, overwrite=overwrite, progress=show)
        _check_table(measurements, batch, output, overwrite=overwrite)
        say(f"{len(batch.sources)} scans, segmented by {batch.model.id}")
        _warn(batch.warnings)
        outcomes: list[BatchOutcome] = []
        try:
            for number, outcome in enumerate(batch.outcomes, 1):
                _tell(outcome, f"{number}/{len(batch.sources)}", batch.warnings)
                outcomes.append(outcome)
        except KeyboardInterrupt:
            warn(f"{len(outcomes)} of {len(batch.sources)} scans are done and stay; the same command continues.")
            raise
    _tell_all(outcomes, measurements, with_reasons=keep_implausible)


def _refuse_for_several(output: Path, **of_one: Any) -> None:
    if output.is_file() or (output.suffix and not output.is_dir()) or output.name.lower().endswith(IMAGE_SUFFIXES):
        raise UserError(
            f"{output.name} is no folder.", "The results of several CTs need one, and of one CT a file that ends in "
            f"{', '.join(IMAGE_SUFFIXES)}.", "Choose another output.",
        )
    for name, value in of_one.items():
        if value:
            raise UserError(f"--{name} is for one CT only.", "The output is a folder.", "Leave it out.")


def _check_table(table: Path | None, batch: Batch, output: Path, *, overwrite: bool) -> None:
    from lnsegfm.lymph_nodes.measurement_table import is_table
    from lnsegfm.segmentation.provenance import sidecar_path

    if table is not None:
        labels = [output / each.output for each in batch.sources]
        check_outputs([table], [each.path for each in batch.sources], overwrite=overwrite, wrote=is_table)
        check_distinct([table, *labels, *map(sidecar_path, labels)])


def _tell(outcome: BatchOutcome, count: str, said: Sequence[str]) -> None:
    if outcome.error is not None:
        warn(f"{count} {outcome.source.path}: {outcome.error}")
    elif outcome.result is not None:
        _warn([text for text in outcome.result.provenance.warnings if text not in said], f"{count} ")
        _tell_left_out(outcome.implausible, f"{count} ")
        say(f"{count} {outcome.labels}: {len(outcome.lymph_nodes)} lymph nodes")
    else:
        _tell_left_out(outcome.implausible, f"{count} ")
        say(f"{count} {outcome.labels}: {len(outcome.lymph_nodes)} lymph nodes, done already")


def _tell_left_out(implausible: Sequence[LymphNode], prefix: str = "") -> None:
    from lnsegfm.lymph_nodes.plausibility import told_left_out

    if implausible:
        warn(f"{prefix}{told_left_out(implausible)}. --keep-implausible keeps them.")


def _warn(warnings: Sequence[str], prefix: str = "") -> None:
    for warning in warnings:
        warn(f"{prefix}Warning: {warning}")


def _tell_one(result: SegmentedFile) -> None:
    _warn(result.provenance.warnings)
    _tell_left_out(result.implausible)
    if terminal.as_json:
        print_json({"results": [_row(result)], "failed": 0})
        return
    provenance = result.provenance
    say(f"Model {provenance.model} on {provenance.device} ({result.device_reason}), {result.seconds:.1f} s")
    say(f"{len(result.lymph_nodes)} lymph nodes -> {result.request.labels}; expected benefit of a correction "
        f"{result.expected_benefit:.3f}")
    for each in result.lymph_nodes:
        say(line_of(each))
    if result.implausible:
        say("Left out:")
    for each in result.implausible:
        say(line_of(each))


def _tell_all(outcomes: list[BatchOutcome], measurements: Path | None, *, with_reasons: bool) -> None:
    from lnsegfm.lymph_nodes.measurement_table import MeasuredNode, write_csv

    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if measurements is not None:
        # With those of scans that were done before: their measurements lie beside their labels.
        write_csv(
            [MeasuredNode(each, case=outcome.source.output.as_posix()) for outcome in outcomes
             for each in outcome.lymph_nodes], measurements, with_reasons=with_reasons,
        )  # fmt: skip
    if terminal.as_json:
        print_json({"results": [_outcome(outcome) for outcome in outcomes], "failed": len(failed)})
    if failed:
        raise UserError(
            f"{len(failed)} of {len(outcomes)} scans were not segmented.",
            "; ".join(f"{outcome.source.path.name}: {outcome.error.what}" for outcome in failed if outcome.error),
            "Correct what is said above and give the same command again; what is done is skipped.",
        )


def _outcome(outcome: BatchOutcome) -> dict[str, Any]:
    if outcome.result is not None:
        return _row(outcome.result)
    made = outcome.provenance
    return {
        "ct": str(outcome.source.path), "labels": str(outcome.labels),
        "state": "failed" if outcome.error is not None else "skipped",
        "reason": str(outcome.error) if outcome.error is not None else None,
        "model": made.model if made else None, "model_sha256": made.model_sha256 if made else None,
        "device": made.device if made else None, "seconds": None, "expected_benefit": None,
        "warnings": list(made.warnings) if made else [], "lymph_nodes": as_rows(outcome.lymph_nodes),
        "implausible": as_rows(outcome.implausible),
    }


def _row(result: SegmentedFile) -> dict[str, Any]:
    provenance = result.provenance
    return {
        "ct": str(result.request.ct), "labels": str(result.request.labels), "state": "segmented", "reason": None,
        "model": provenance.model, "model_sha256": provenance.model_sha256, "device": provenance.device,
        "seconds": result.seconds, "expected_benefit": result.expected_benefit,
        "warnings": list(provenance.warnings), "lymph_nodes": as_rows(result.lymph_nodes),
        "implausible": as_rows(result.implausible),
    }
