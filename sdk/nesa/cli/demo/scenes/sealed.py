"""Scene 2: a person asks through the SDK, and only the drawn members learn what."""

from __future__ import annotations

from typing import Final

from nesa.cli.demo.cast import Cast, Question, SceneRecorder, check_answer
from nesa.cli.demo.leaks import Leak, Trace, find, read_chain, read_files, spellings
from nesa.cli.demo.report import SceneReport
from nesa.client.answers import Answer
from nesa.protocol.queries import Privacy

TITLE: Final = "A person asks, sealed"
WORDS: Final = (
    "The SDK encrypts the patient's features, shows the chain a blinded digest and a ciphertext, "
    "and wraps the key to the drawn members only. The answer comes back sealed."
)
ROW: Final = 23
"""Its numbers are in no file that a developer publishes."""


async def tell(cast: Cast) -> SceneReport:
    """Ask sealed, AGREED; then search everything that anybody could read."""
    recorder = SceneRecorder(TITLE, cast.narrator)
    question = cast.question(ROW)
    submitted = await cast.client.submit(
        await cast.model(), question.features, assurance="AGREED", privacy="sealed"
    )
    cast.narrator.say("client", f"sealed query {submitted.query_id} is on chain")
    answer = await cast.await_answer(TITLE, submitted)
    check_answer(recorder, question, answer)
    recorder.check("the query was sealed", answer.privacy is Privacy.SEALED)
    await _search(cast, recorder, question, answer)
    return recorder.report()


async def _search(cast: Cast, recorder: SceneRecorder, question: Question, answer: Answer) -> None:
    traces = [*await read_chain(cast.client.connection), *_files(cast)]
    edge = question.published.model.input_edge
    secrets = spellings(question.input, edge.decode(question.input))
    leaks = find(secrets, traces)
    recorder.check("its input is nowhere on chain nor in any log", not leaks, _places(leaks))
    secrets = spellings(question.output, answer.output.integers)
    leaks = find(secrets, traces)
    recorder.check("its output is nowhere on chain nor in any log", not leaks, _places(leaks))
    _, open_answer = cast.answers[0]
    shown = spellings(
        open_answer.output.edge.encode(open_answer.output.integers), open_answer.output.integers
    )
    control = find(shown, traces)
    recorder.check("the same search finds the open query's output", bool(control))
    size = sum(len(trace.data) for trace in traces)
    cast.narrator.say("search", f"{size:,} bytes in {len(traces)} places were searched")
    recorder.note(searched_bytes=size, searched_places=len(traces))


def _files(cast: Cast) -> list[Trace]:
    layout = cast.devnet.layout
    return list(read_files([layout.logs, layout.root / "operators"]))


def _places(leaks: tuple[Leak, ...]) -> str:
    return ", ".join(f"{leak.spelling} in {leak.place}" for leak in leaks[:3])
