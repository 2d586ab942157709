"""The section of the plan: what is to be done, what it will take, and the button that starts it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import qt

from lnsegfm.base.background import Pending
from lnsegfm.base.errors import UserError
from lnsegfm.cases.thin_lymph_nodes import thin_lymph_nodes
from lnsegfm.jobs.case_selection import Selection
from lnsegfm.jobs.job_spec import PRESETS, preset_settings
from lnsegfm.jobs.method_names import METHODS
from lnsegfm.jobs.stored import Stored
from lnsegfm.jobs.timing import Calibration
from lnsegfm.models.model_facts import ModelFacts
from lnsegfm.session import AdaptOptions
from lnsegfm.session.job_handle import JobHandle
from LNSegFMFineTuneLib.panels.fine_tune_host import FineTuneHost, FineTuneSection
from LNSegFMFineTuneLib.scene.adapt_parameters import CUSTOM
from LNSegFMFineTuneLib.texts import plan_texts as wording
from LNSegFMLib.panels.common.section import ParameterBinding
from LNSegFMLib.panels.common.widgets import fill_combo_box
from LNSegFMLib.panels.models.rejected_models import may_use
from LNSegFMLib.texts.model_texts import listed_name

# What the user sets of a job, with its widget.
WIDGETS = {
    "base_model": "modelComboBox",
    "preset": "presetComboBox",
    "method": "methodComboBox",
    "gamma": "gammaSpinBox",
    "granularity": "granularityComboBox",
    "epochs": "epochsSpinBox",
    "iterations_per_epoch": "iterationsSpinBox",
    "batch_size": "batchSizeSpinBox",
    "learning_rate": "learningRateSpinBox",
    "step_rule": "stepRuleComboBox",
    "holdout_choice": "holdoutComboBox",
    "seed": "seedSpinBox",
    "device": "deviceComboBox",
    "name": "nameLineEdit",
}


class PlanSection(FineTuneSection):
    """The settings of the next job, kept in the parameter node.

    Args:
        host: The panel.
        ui_file: Path of the .ui file.
        frame: The panel's widgets around the sections.
    """

    def __init__(self, host: FineTuneHost, ui_file: str, *, frame: Any) -> None:
        super().__init__(host, ui_file, frame=frame)
        self._stored = Stored()
        self._facts: tuple[str, ModelFacts | None] = ("", None)  # of the model with this id
        self._pending: Pending | None = None  # what measures, or starts a job
        widgets = {field: getattr(self.ui, name) for field, name in WIDGETS.items()}
        for name, widget in widgets.items():
            if widget.inherits("QComboBox"):
                fill_combo_box(widget, wording.choices().get(name, {}).items(), None)
        self.binding = ParameterBinding(host, widgets, before_store=self._on_edited)
        for index, method in enumerate(METHODS.values()):
            self.ui.methodComboBox.setItemData(index, method.text, qt.Qt.ToolTipRole)
        self.ui.startButton.connect("clicked(bool)", self.on_start)
        self.ui.calibrateButton.connect("clicked(bool)", self.on_calibrate)

    @property
    def values(self) -> dict[str, Any]:
        """What is set now, by field; ``base_model`` and ``preset`` among them."""
        return self.binding.values

    @property
    def _measuring(self) -> Pending | None:
        return None if self._pending is None or self._pending.done else self._pending

    def update(self) -> None:
        """Follow the parameter node."""
        self.binding.show()
        self._show_estimate()

    def show_stored(self, before: Stored, stored: Stored) -> None:
        """Follow what lies on the disk."""
        self._stored = stored
        parameters = self.host.parameters
        chosen = parameters.base_model if parameters is not None else ""
        models = [(model.id, listed_name(model, "", stored.rejected)) for model in stored.models]
        chosen = chosen or self.ui.modelComboBox.currentData or ""
        # One that was chosen although it is rejected stays; one that has just been rejected does not.
        if not any(model.id == chosen for model in stored.models) or chosen in stored.rejected - before.rejected:
            chosen = stored.suggested_model
        fill_combo_box(self.ui.modelComboBox, models, chosen)
        self.binding.store()
        self._show_estimate()

    def update_controls(self) -> None:
        """Enable what can be done now."""
        values, idle = self.values, not self.host.is_acting
        selection = Selection.of(self._stored.cases, values["holdout_choice"], values["seed"])
        refusal = wording.start_refusal(selection, values["base_model"] or "")
        self.ui.startButton.enabled = idle and not refusal
        self.ui.startButton.toolTip = refusal or wording.start_tooltip()
        is_measuring = self._measuring is not None
        self.ui.calibrateButton.enabled = is_measuring or (idle and not refusal)
        self.ui.calibrateButton.text = wording.stop_measuring() if is_measuring else wording.measure()

    def _on_edited(self, field: str) -> None:
        """Set what belongs to a preset and a method; settings that differ from those of the preset make it custom."""
        values = self.values
        if values["preset"] not in PRESETS:
            return
        settings = preset_settings(values["preset"], values["method"])
        if field in ("preset", "method"):
            self.binding.set(settings)
        elif any(values.get(name, value) != value for name, value in settings.items()):
            self.binding.set({"preset": CUSTOM})

    # What it will take

    def _show_estimate(self) -> None:
        values = self.values
        known = self._known(values)
        steps = {name: preset_settings(name, values["method"]) for name in PRESETS}
        iterations = {name: each["epochs"] * each["iterations_per_epoch"] for name, each in steps.items()}
        own = iterations[CUSTOM] = values["epochs"] * values["iterations_per_epoch"]
        box = self.ui.presetComboBox
        for index in range(box.count):
            name = box.itemData(index)
            box.setItemText(index, wording.preset(name, known, iterations[name]))
        if self._measuring is None:
            self.ui.estimateLabel.text = "\n".join((wording.estimate(known, own), *self._thin(values)))

    def _thin(self, values: Mapping[str, Any]) -> Sequence[str]:
        """Return what there is to say of lymph nodes that the model's voxels may be too large for."""
        model = next((model for model in self._stored.models if model.id == values["base_model"]), None)
        if model is None:
            return ()
        if self._facts[0] != model.id:
            try:
                self._facts = (model.id, ModelFacts.of(model))
            except UserError:  # damaged, which is said when it is verified
                self._facts = (model.id, None)
        selection = Selection.of(self._stored.cases, values["holdout_choice"], values["seed"])
        chosen = {ref.id for ref in selection.train}
        facts = self._facts[1]
        return () if facts is None else thin_lymph_nodes([c for c in self._stored.cases if c.id in chosen], facts)

    def _known(self, values: Mapping[str, Any]) -> Calibration | None:
        model = next((model for model in self._stored.models if model.id == values["base_model"]), None)
        if model is None:
            return None
        return self._stored.calibrations.find(
            base_sha256=model.sha256, device=values["device"], method=values["method"],
            batch_size=values["batch_size"],
        )

    def on_calibrate(self) -> None:
        """Measure what an iteration costs; or stop that."""
        if self._measuring is not None:
            self._measuring.cancel()
            return
        fields = self.values
        if self.host.packages_ready(METHODS[fields["method"]].packages):
            self.ui.estimateLabel.text = wording.measuring()
            self._pending = self.host.act(self._on_calibrated, self.host.workbench.calibrate, _options(fields))
            self.host.update_controls()

    def _on_calibrated(self, _calibration: Calibration) -> None:
        """The estimate follows with everything that is read again after an action."""

    # Start

    def on_start(self) -> None:
        """Start a job with what is set, once it is clear that it can work."""
        fields = self.values
        if not may_use(self.host.workbench.models, fields["base_model"]):
            return
        if self.host.packages_ready(METHODS[fields["method"]].packages):
            self.ui.estimateLabel.text = wording.checking()
            self._pending = self.host.act(self._on_started, self.host.workbench.adapt, _options(fields))
            self.host.update_controls()

    def _on_started(self, handle: JobHandle) -> None:
        self.host.watch(handle.id)


def _options(fields: Mapping[str, Any]) -> AdaptOptions:
    # Whatever the preset sets has a widget of its own, so that its name says nothing more. Whether a rejected model may
    # be used was asked before.
    values = {name: value for name, value in fields.items() if name != "preset"}
    return AdaptOptions(**values, rejected_too=True)
