"""Orders patients by urgency with a model that two groups of miners run on shares of their data.

    python examples/medical_triage/triage.py

No miner learns a measurement or an answer. What a member signs about a wrong result is kept in a
file, which convicts it in court until the time for suits is over.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import shlex
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from nesa import Client, NesaError
from nesa.chain.session_history import sessions_of
from nesa.cli.session import DEFAULT_NETWORK
from nesa.client.evidence_files import keep_evidence
from nesa.client.sharing import SharedPublicModel, SharedResult, SharedSession
from nesa.protocol.errors import InvalidInput
from nesa.protocol.ids import QueryId

ROOT: Final = Path(__file__).resolve().parents[2]
MODEL: Final = ROOT / "models" / "breast-cancer-mlp"
PATIENTS: Final = Path(__file__).with_name("patients.csv")
EVIDENCE: Final = Path("nesa-evidence")
URGENT: Final = "malignant"

Patient = Mapping[str, str]
"""A row of the file: `case`, and a number for each feature of the model."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A case and its answer; the files hold what convicts members that signed wrong sums."""

    case: str
    result: SharedResult
    evidence: tuple[Path, ...]

    @property
    def urgency(self) -> float:
        """The score of the urgent label."""
        return self.result.scores[URGENT]


async def assess(
    opening: AbstractAsyncContextManager[SharedSession],
    shared: SharedPublicModel,
    patient: Patient,
    evidence: Path,
) -> Finding:
    """Ask about one patient in a session that opens. A member that lies or fails is replaced, and
    what convicts it is kept; lies also come while the session is left.

    The files hold digits of a share: with the other group's they are the patient's, so they stay
    here.
    """
    features, left = features_of(shared, patient), list[SharedSession]()
    try:
        async with opening as session:
            left.append(session)
            result = await session.ask(features)
    finally:
        kept = tuple(path for one in left for path in keep_evidence(one.evidence(), evidence))
    return Finding(patient["case"], session.with_late(result), kept)


def features_of(shared: SharedPublicModel, patient: Patient) -> list[float]:
    """A patient's numbers in the order of the model's features."""
    try:
        return [float(patient[feature.name]) for feature in shared.public.card.features]
    except (KeyError, ValueError) as error:
        raise InvalidInput(f"case {patient.get('case')}: no number {error}") from error


async def last_suit(client: Client, session_id: QueryId) -> datetime:
    """Until when the court takes a suit about what was signed in a session."""
    opened = await sessions_of(client.connection, client.address)
    (query,) = [one.query for one in opened if one.session_id == session_id]
    return datetime.fromtimestamp(query.answer_deadline + query.rules.dispute_window, UTC)


def tell(finding: Finding, until: datetime, model: Path, network: Path) -> None:
    """Print who was asked, and how to take to court who lied; `model` and `network` are those that
    were asked."""
    result = finding.result
    print(f"{finding.case}: session {result.session_id}, {result.rounds} rounds")
    for member, reason in result.refused.items():
        print(f"  {member} was replaced: {reason}")
    for path in finding.evidence:
        print(f"  {path} convicts it in court until {until:%H:%M:%S} UTC:")
        words = ["nesa", "sue", path, "--shared", model, "--network", network]
        print(f"  {shlex.join(map(str, words))}")


async def main(options: argparse.Namespace) -> None:
    """Asks about every patient of the file, and prints them by urgency."""
    shared = SharedPublicModel.read(options.model)
    with options.patients.open(newline="", encoding="utf-8") as file:
        patients = list(csv.DictReader(file))
    findings = []
    async with Client.connect(options.network) as client:
        for patient in patients:
            opening = client.shared_session(shared)
            finding = await assess(opening, shared, patient, options.evidence)
            until = await last_suit(client, finding.result.session_id)
            tell(finding, until, options.model, options.network)
            findings.append(finding)
    for finding in sorted(findings, key=lambda one: -one.urgency):
        print(f"{finding.urgency:.3f} {URGENT}  {finding.case}")


def read_arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "patients", nargs="?", type=Path, default=PATIENTS, help="CSV file, a case a row"
    )
    parser.add_argument("--model", type=Path, default=MODEL, help="folder of the public model")
    parser.add_argument("--evidence", type=Path, default=EVIDENCE, help="where evidence is kept")
    parser.add_argument("--network", type=Path, default=DEFAULT_NETWORK)
    return parser.parse_args()


if __name__ == "__main__":
    try:
        asyncio.run(main(read_arguments()))
    except NesaError as error:
        raise SystemExit(str(error)) from error
