"""Scene 1: a contract asks, pays, and is called back with the answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from eth_utils.crypto import keccak

from nesa.chain.abi import ContractCall, interface
from nesa.chain.sender import Receipt, Sender
from nesa.cli.demo.cast import MLP, Cast, Question, SceneRecorder, check_answer
from nesa.cli.demo.narration import gas
from nesa.cli.demo.report import SceneReport
from nesa.client.answers import Answer
from nesa.devnet.examples import compile_contract, deploy_code
from nesa.protocol.ids import ONE_NES, Address, Amount, QueryId
from nesa.protocol.queries import CallbackResult

TITLE: Final = "A contract asks"
WORDS: Final = (
    "A clinic's triage register, a contract, pays NES for a second opinion on a tumour. Eight "
    "miners in two shards of four agree on it and an oracle calls the register back."
)
ROW: Final = 0
CONTRACT: Final = "TriageRegister"
SOURCE: Final = Path("contracts/examples/TriageRegister.vy")
CASE: Final = keccak(text="case 1")
FUNDS: Final = Amount(5 * ONE_NES)
VERDICTS: Final = {1: "malignant", 2: "benign"}
DECIDED: Final = 2


@dataclass(frozen=True, slots=True)
class Register:
    """The deployed register and whoever runs the clinic."""

    address: Address
    clinic: Sender
    cast: Cast

    async def call(self, function: str, *arguments: Any) -> Receipt:
        """Send a call of the clinic."""
        found = interface(CONTRACT).function(function, len(arguments))
        label = f"{CONTRACT}.{function}"
        return await self.clinic.send(ContractCall(self.address, found.encode(arguments), label))

    async def case(self) -> tuple[int, int, int, int]:
        """Status, verdict, margin and query of the case."""
        found = interface(CONTRACT).function("cases", 1)
        call = ContractCall(self.address, found.encode([CASE]), f"{CONTRACT}.cases")
        (case,) = found.decode(await self.cast.client.connection.call(call, "latest"))
        status, verdict, margin, query_id = case
        return int(status), int(verdict), int(margin), int(query_id)


async def tell(cast: Cast) -> SceneReport:
    """Deploy the register, ask about one case, wait for the callback."""
    recorder = SceneRecorder(TITLE, cast.narrator)
    question = cast.question(ROW)
    register = await _deploy(cast, recorder)
    fee_limit = await cast.client.quote(await cast.model()) * 2
    receipt = await register.call("ask_triage", CASE, question.input, fee_limit)
    query_id = QueryId((await register.case())[3])
    cast.narrator.say("contract", f"query {query_id} asked and paid, {gas(receipt.gas_used)}")
    answer = await cast.await_answer(TITLE, query_id)
    check_answer(recorder, question, answer)
    await _check_case(recorder, register, question, answer)
    return recorder.report()


async def _deploy(cast: Cast, recorder: SceneRecorder) -> Register:
    connection, contracts = cast.client.connection, cast.client.contracts
    clinic = cast.devnet.foundation.people.clinic
    creation = await compile_contract(cast.devnet.foundation.clone, SOURCE)
    arguments = (contracts.market.address, contracts.token.address, (await cast.model()).version_id)
    address, used = await deploy_code(
        connection, clinic.account, creation, ("address", "address", "bytes32"), arguments
    )
    sender = Sender(connection, clinic.account)
    await sender.send(contracts.token.transfer(address, FUNDS))
    cast.narrator.say("clinic", f"the register is at {address} ({gas(used)}), with 5 NES in it")
    recorder.note(register=address, model=MLP)
    return Register(address, sender, cast)


async def _check_case(
    recorder: SceneRecorder, register: Register, question: Question, answer: Answer
) -> None:
    status, verdict, margin, _ = await register.case()
    logits = answer.output.integers.reshape(-1).astype(int)
    recorder.check("the callback succeeded", answer.callback is CallbackResult.SUCCEEDED)
    recorder.check("the register decided the case", status == DECIDED)
    told = VERDICTS.get(verdict, "nothing")
    recorder.check("with the reference model's verdict", told == question.label, told)
    recorder.check("and its margin", margin == abs(int(logits[0]) - int(logits[1])), str(margin))
    recorder.note(verdict=told, margin=margin)
