"""The HTML report of the demonstration: one file, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

from demo.pictures import PREDICTION, TRUTH, contours, loss_curve
from demo.story import Scan, Story
from lnsegfm.base.files import write_text

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 900px; margin: 2em auto; padding: 0 1em; color: #1c2430; }
h1 { font-size: 1.6em; } h2 { font-size: 1.2em; margin-top: 2em; }
table { border-collapse: collapse; margin: 0.6em 0; } th, td { padding: 0.25em 0.9em; text-align: right; }
th { border-bottom: 2px solid #8a94a3; } td { border-bottom: 1px solid #dde2e8; }
th:first-child, td:first-child { text-align: left; } img { max-width: 100%; }
.verdict { background: #eef3fa; border-left: 5px solid #3f6fb5; padding: 0.7em 1em; font-size: 1.1em; }
.note { color: #5a6675; font-size: 0.9em; }
"""


def write_report(story: Story, path: Path) -> Path:
    """Write the report and return its path."""
    spec, base, adapted = story.job.spec, story.base, story.adapted
    sections = [
        f"<h1>LN-Seg-FM: adapted to another hospital with {len(story.training)} corrected cases</h1>",
        f'<p class="verdict">{escape(story.verdict())}</p>',
        "<p>Phantoms, not patients: the model was trained on one synthetic hospital and met scans of another one. "
        f"The corrections are the phantoms' truth. One run with seed {spec.seed}; other seeds give other figures.</p>",
        "<h2>Held-out scans before and after</h2>",
        _score_table(story),
        f'<p>Contours: <b style="color:{TRUTH}">truth</b>, <b style="color:#b59a00">prediction</b> '
        f'(drawn in <span style="background:{PREDICTION}">yellow</span>).</p>',
        *(_pictures(story, scan) for scan in story.holdout),
        "<h2>Fine-tuning</h2>",
        _table(("setting", "value"), _settings(story)),
        f'<img alt="loss curve" src="{loss_curve(story.job.progress())}">',
        "<h2>Lymph nodes found by the adapted model</h2>",
        *(_node_table(story, scan) for scan in story.holdout),
        "<h2>Time</h2>",
        _table(("step", "seconds"), ((name, f"{value:.1f}") for name, value in story.seconds.items())),
        f'<p class="note">Segmented on {escape(story.device)}. Base model {base.id} (SHA-256 {base.sha256[:16]}…), '
        f"adapted model {adapted.id} (SHA-256 {adapted.sha256[:16]}…), job {story.job.id}. Method: Luo et al., Dynamic "
        "Gradient Sparsification Training, MICCAI 2025. Research software, not a medical device.</p>",
    ]
    body = "\n".join(sections)
    write_text(path, f"<!doctype html><html lang=en><meta charset=utf-8><title>LN-Seg-FM demonstration</title>"
                     f"<style>{STYLE}</style>\n{body}\n</html>\n")
    return path


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    lines = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{lines}</table>"


def _score_table(story: Story) -> str:
    def row(name: str, before: dict[str, float], after: dict[str, float]) -> tuple[str, ...]:
        figures = [f"{scores[metric]:.3f}" for metric in ("dsc", "nsd") for scores in (before, after)]
        return (name, *figures, f"{after['dsc'] - before['dsc']:+.3f}")

    rows = [row(scan.name, scan.scores[story.base.id], scan.scores[story.adapted.id]) for scan in story.holdout]
    means = [
        {metric: story.mean(model, metric) for metric in ("dsc", "nsd")} for model in (story.base, story.adapted)
    ]
    header = ("scan", "DSC before", "DSC after", "NSD@1mm before", "NSD@1mm after", "DSC change")
    return _table(header, [*rows, row("mean", *means)])


def _pictures(story: Story, scan: Scan) -> str:
    drawn = {"before": scan.labels[story.base.id], "after": scan.labels[story.adapted.id]}
    return f"<h3>{escape(scan.name)}</h3><img alt='contours' src='{contours(scan.ct, scan.truth, drawn)}'>"


def _settings(story: Story) -> list[tuple[str, str]]:
    spec = story.job.spec
    return [
        ("method", f"{spec.method.upper()}, γ {spec.gamma} per {spec.granularity}"),
        ("step rule", f"{spec.step_rule}, learning rate {spec.learning_rate:g}"),
        ("iterations", f"{spec.epochs} epochs x {spec.iterations_per_epoch}, batch {spec.batch_size}"),
        ("training cases", str(len(spec.cases))),
        ("hold-out cases", str(len(spec.holdout))),
    ]


def _node_table(story: Story, scan: Scan) -> str:
    rows = [
        (str(node.number), f"{node.short_axis_mm:.1f}", f"{node.long_axis_mm:.1f}", f"{node.volume_mm3:.0f}",
         node.size_class)
        for node in story.lymph_nodes(scan, story.adapted)
    ]
    header = ("lymph node", "short axis (mm)", "long axis (mm)", "volume (mm³)", "RECIST class")
    return f"<h3>{escape(scan.name)}</h3>" + _table(header, rows)
