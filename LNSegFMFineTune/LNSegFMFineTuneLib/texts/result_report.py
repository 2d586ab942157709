"""The report of a job as one HTML page that needs no other file and names no patient."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from slicer.i18n import tr as _

from lnsegfm.jobs.method_names import METHODS
from lnsegfm.jobs.outcome import Evidence, Row
from lnsegfm.jobs.stored import JobView
from lnsegfm.models.model_card import ModelInfo
from LNSegFMFineTuneLib.texts import result_texts as wording

# Plain enough for Qt's rich text as well, which makes the PDF of it.
_STYLE = (
    "body { font-family: sans-serif; } table { border-collapse: collapse; } "
    "th, td { border: 1px solid #999999; padding: 4px 8px; text-align: left; }"
)


def report_html(view: JobView, models: Mapping[str, ModelInfo], pictures: Mapping[str, bytes]) -> str:
    """Return the page.

    Args:
        view: The job, done.
        models: The installed models by id.
        pictures: PNG files by case id; a case without one has no picture.
    """
    evidence = Evidence.of(view.status.metrics)
    parts = [
        f"<h1>{escape(_('Fine-tuning of a lymph node segmentation model'))}</h1>",
        f"<p><b>{escape(_('For research only. This is not a medical device.'))}</b></p>",
        f"<h2>{escape(_('Conclusion'))}</h2>", f"<p>{escape(wording.verdict(evidence))}</p>",
    ]
    if evidence.rows:
        parts += [f"<h2>{escape(_('Hold-out cases'))}</h2>", _scores(evidence.rows, evidence.mean)]
    if evidence.forgetting:
        parts += [
            f"<h2>{escape(_('Forgetting'))}</h2>", f"<p>{escape(wording.forgetting(evidence))}</p>",
            _scores(evidence.forgetting, None),
        ]
    if pictures:
        parts += [f"<h2>{escape(_('Images'))}</h2>", f"<p>{wording.legend()}</p>"]
        parts += [_picture(case, png) for case, png in pictures.items()]
    parts += [f"<h2>{escape(_('How the model was made'))}</h2>", _settings(view, models)]
    body = "\n".join(parts)
    title = escape(view.id)
    return (
        f'<!DOCTYPE html>\n<html>\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _scores(rows: Sequence[Row], mean: Row | None) -> str:
    return _table(wording.report_titles(), (wording.report_cells(row) for row in (*rows, *([mean] if mean else []))))


def _settings(view: JobView, models: Mapping[str, ModelInfo]) -> str:
    spec, model = view.spec, models.get(view.status.model_id)
    base = models.get(spec.base_model)
    method = METHODS[spec.method]
    packages = model.card.lineage.get("packages", {}) if model else {}
    rows = [
        (_("Model"), f"{model.name} ({model.id})" if model else view.status.model_id),
        (_("SHA-256 of the model"), model.sha256 if model else wording.UNKNOWN),
        (_("Base model"), f"{base.name} ({base.id})" if base else spec.base_model),
        (_("SHA-256 of the base model"), spec.base_sha256),
        (_("Training cases"), _refs(f"{ref.id} (v{ref.version})" for ref in spec.cases)),
        (_("Hold-out cases"), _refs(f"{ref.id} (v{ref.version})" for ref in spec.holdout)),
        *((_("Note"), note) for note in view.status.notes),
        (_("Method"), f"{method.name}: {method.text}"),
        (_("Settings"), _refs(f"{name} {getattr(spec, name)}" for name in _SHOWN)),
        (_("Device"), view.status.device),
        (_("Packages"), _refs(f"{name} {version}" for name, version in packages.items())),
        (_("Job"), view.id),
    ]
    return _table((_("What"), _("Value")), rows)


_SHOWN = (
    "epochs", "iterations_per_epoch", "batch_size", "learning_rate", "step_rule", "gamma", "granularity", "clip_norm",
    "seed",
)


def _refs(texts: Iterable[str]) -> str:
    return ", ".join(texts) or wording.UNKNOWN


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    lines = [
        "<tr>" + "".join(f"<td>{escape(cell)}</td>".replace("\n", "<br>") for cell in row) + "</tr>" for row in rows
    ]
    return f"<table>\n<tr>{head}</tr>\n" + "\n".join(lines) + "\n</table>"


def _picture(case: str, png: bytes) -> str:
    data = base64.b64encode(png).decode("ascii")
    return f'<p>{escape(case)}<br><img width="460" alt="{escape(case)}" src="data:image/png;base64,{data}"></p>'
