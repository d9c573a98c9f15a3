"""Claims on one key end in the same state, in whatever order they come."""

from dataclasses import dataclass

from hypothesis import assume, given
from hypothesis import strategies as st

from models.tables import Role, UtteranceSource
from resolvers.transcripts.merge import Rank, UtteranceChange, prevails, rank
from tests.rows import START


def claim(
    source: UtteranceSource, is_final: bool, agent_revision: int | None = None, text: str = "t"
) -> UtteranceChange:
    return UtteranceChange(
        key="k",
        role=Role.USER,
        source=source,
        text=text,
        is_final=is_final,
        started_at=START,
        agent_revision=agent_revision,
    )


texts = st.text("ab", min_size=1, max_size=3)
# An agent's text follows from its revision, because a resend has the same text.
of_bridge = st.builds(
    lambda final, revision, written: claim(
        UtteranceSource.TYPED if written else UtteranceSource.SPEECH,
        final,
        revision,
        f"{final}{revision}",
    ),
    st.booleans(),
    st.integers(1, 5),
    st.just(False),
)
of_client = st.builds(
    lambda final, text: claim(UtteranceSource.CLIENT_REPORTED, final, None, text),
    st.booleans(),
    texts,
)
typed = st.builds(lambda text: claim(UtteranceSource.TYPED, True, None, text), texts)


@dataclass(frozen=True)
class Held:
    claim: UtteranceChange
    history: tuple[UtteranceChange, ...]


def settle(claims: list[UtteranceChange]) -> Held:
    """Apply the claims to one key in order, by the rules."""
    held, history = claims[0], [claims[0]]
    for each in claims[1:]:
        if prevails(each, held.source, held.is_final, held.agent_revision):
            held = each
            history.append(each)
    return Held(held, tuple(history))


@given(st.lists(of_bridge, min_size=1, max_size=8), st.randoms())
def test_the_order_of_a_bridges_claims_does_not_matter(
    claims: list[UtteranceChange], random: object
) -> None:
    """Repeated and reordered claims end in the same state."""
    shuffled = list(claims) + claims[:2]
    random.shuffle(shuffled)  # type: ignore[attr-defined] # a Random

    assert settle(claims).claim == settle(shuffled).claim


@given(st.permutations([0, 1, 2, 3]), of_bridge, of_bridge, of_client, of_client)
def test_the_order_matters_only_among_a_clients_equals(
    order: list[int],
    one: UtteranceChange,
    two: UtteranceChange,
    three: UtteranceChange,
    four: UtteranceChange,
) -> None:
    """With the client's claims in a fixed order, the bridge's may come at any point."""
    given_claims = [one, two, three, four]
    shuffled = [given_claims[index] for index in order]
    assume([each for each in shuffled if each.agent_revision is None] == [three, four])

    assert settle(given_claims).claim == settle(shuffled).claim


@given(st.lists(of_bridge | of_client | typed, min_size=1, max_size=10))
def test_a_final_never_becomes_an_interim_again(claims: list[UtteranceChange]) -> None:
    """Nor does the rank of the held claim ever fall."""
    history = settle(claims).history
    ranks = [rank(each.source, each.is_final) for each in history]

    assert ranks == sorted(ranks)
    finals = [each.is_final for each in history]
    assert finals == sorted(finals)


@given(st.lists(of_bridge | of_client | typed, min_size=1, max_size=10))
def test_the_winner_has_the_highest_rank_and_is_the_first_of_its_equals(
    claims: list[UtteranceChange],
) -> None:
    """Of the bridge's claims the highest revision wins, of those without one the first."""
    held = settle(claims).claim
    highest = max(rank(each.source, each.is_final) for each in claims)
    best = [each for each in claims if rank(each.source, each.is_final) == highest]

    assert held in best
    if best[0].agent_revision is None:
        assert held == best[0]
    elif all(each.agent_revision is not None for each in best):
        assert held.agent_revision == max(each.agent_revision or 0 for each in best)


@given(texts, st.lists(of_bridge | of_client | typed, max_size=10))
def test_what_the_person_typed_is_never_rewritten(text: str, others: list[UtteranceChange]) -> None:
    """No later claim on its key wins, whatever its revision."""
    first = claim(UtteranceSource.TYPED, True, None, text)

    assert settle([first, *others]).claim == first


def test_the_ranks_are_those_of_the_design() -> None:
    """Client interim < bridge interim < client final < bridge final = typed line."""
    sources = UtteranceSource
    assert rank(sources.CLIENT_REPORTED, False) is Rank.CLIENT_INTERIM
    assert rank(sources.SPEECH, False) is Rank.BRIDGE_INTERIM
    assert rank(sources.CLIENT_REPORTED, True) is Rank.CLIENT_FINAL
    assert rank(sources.SPEECH, True) is Rank.BRIDGE_FINAL
    assert rank(sources.TYPED, True) is Rank.BRIDGE_FINAL
    assert sorted(Rank) == list(Rank)
