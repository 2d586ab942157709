"""``lnsegfm cases``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lnsegfm.base.home import Home
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.inputs.reading import read_ct, read_labels
from lnsegfm.jobs.job_store import JobStore
from lnsegfm.jobs.removal import refuse_while_used


def add_to(commands: Any) -> None:
    """Add the command's parser."""
    cases = commands.add_parser("cases", help="list, add, import and sort corrected cases")
    actions = cases.add_subparsers(metavar="ACTION", required=True)
    actions.add_parser("list", help="stored cases").set_defaults(run=_list)
    add = actions.add_parser("add", help="store a CT and its corrected labels as a case")
    add.add_argument("ct", type=Path)
    add.add_argument("labels", type=Path)
    add.add_argument("--no-nodes", action="store_true", help="the scan shows no lymph nodes; the labels are empty")
    add.set_defaults(run=_add)
    imported = actions.add_parser("import", help="import the pairs of an nnU-Net raw folder (imagesTr, labelsTr)")
    imported.add_argument("folder", type=Path)
    imported.set_defaults(run=_import)
    use = actions.add_parser("use", help="put a case into training, hold it out, or leave it out")
    use.add_argument("case")
    use.add_argument("use", choices=("train", "holdout", "excluded"))
    use.set_defaults(run=_use)
    for name, action in (("remove", _remove), ("restore", _restore)):
        parser = actions.add_parser(name)
        parser.add_argument("case")
        parser.set_defaults(run=action)
        if name == "remove":
            parser.add_argument("--forever", action="store_true", help="delete the CT and its labels from the disk")


def _store() -> CaseStore:
    return CaseStore(Home.default().cases)


def _list(options: argparse.Namespace) -> None:
    del options
    for case in _store().list():
        latest = case.versions[-1]
        print(f"{case.id:12s}  {case.use:9s}  version {latest.number}, {latest.nodes} lymph nodes")


def _add(options: argparse.Namespace) -> None:
    case = _store().accept(read_ct(options.ct), read_labels(options.labels), no_nodes=options.no_nodes)
    print(f"Stored as {case.id}, label version {case.versions[-1].number}")


def _import(options: argparse.Namespace) -> None:
    report = _store().import_folder(options.folder)
    print(f"Imported {len(report.imported)} cases: {', '.join(report.imported)}")
    for name, reason in report.skipped:
        print(f"Left out {name}: {reason}")


def _remove(options: argparse.Namespace) -> None:
    jobs = JobStore(Home.default().jobs)
    refuse_while_used(f"case '{options.case}'", jobs.users_of(case=options.case))
    _store().remove(options.case, forever=options.forever)
    if options.forever:
        jobs.forget_voxels()
    print(f"Deleted {options.case}" if options.forever else f"Removed {options.case}; 'restore' brings it back")


def _restore(options: argparse.Namespace) -> None:
    print(f"{_store().restore(options.case).id} is back")


def _use(options: argparse.Namespace) -> None:
    case = _store().set_use(options.case, options.use)
    print(f"{case.id} is now '{case.use}'")
