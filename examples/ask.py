"""Asks the breast-cancer model about one patient: `python examples/ask.py [NETWORK.json]`."""

import asyncio
import csv
import sys
from pathlib import Path

from nesa import Client

NETWORK = sys.argv[1] if len(sys.argv) > 1 else ".devnet/network.json"
PATIENT = Path(__file__).with_name("patient.csv")


async def main() -> None:
    """Pays, waits and prints what the network says."""
    _, row = csv.reader(PATIENT.open())
    features = [float(value) for value in row]
    async with Client.connect(NETWORK) as nesa:
        model = await nesa.model("breast-cancer-mlp")
        answer = await nesa.ask(model, features, assurance="AGREED", privacy="sealed")
        print(answer.label, answer.scores)


asyncio.run(main())
