"""Scene 3: the same model, its answer proved in zero knowledge."""

from __future__ import annotations

from typing import Final

from nesa.cli.demo.cast import Cast, SceneRecorder, check_answer
from nesa.cli.demo.report import SceneReport
from nesa.protocol.queries import Assurance

TITLE: Final = "The answer comes with a proof"
WORDS: Final = (
    "One drawn member a shard proves that its circuit computed what it says. The chain rebuilds "
    "every public value, verifies both proofs and only then delivers. "
    "The reference string is for development only."
)
ROW: Final = 7


async def tell(cast: Cast) -> SceneReport:
    """Ask with assurance PROVED."""
    recorder = SceneRecorder(TITLE, cast.narrator)
    question = cast.question(ROW)
    submitted = await cast.client.submit(
        await cast.model(), question.features, assurance=Assurance.PROVED
    )
    cast.narrator.say("client", f"query {submitted.query_id} asks for proofs")
    answer = await cast.await_answer(TITLE, submitted)
    check_answer(recorder, question, answer)
    shards = submitted.query.shards
    recorder.check("it is answered as PROVED", answer.assurance is Assurance.PROVED)
    proved = {member.shard for member in answer.committee if member.paid}
    recorder.check("a proof of every shard was verified", proved == set(range(shards)))
    for member in answer.committee:
        if member.paid:
            name = cast.devnet.operator_of(member.signer).name
            cast.narrator.say("proof", f"shard {member.shard} was proved by {name}")
    return recorder.report()
