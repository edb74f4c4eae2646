"""Turns a clean message into one as it arrives: abbreviated, misheard by dictation, mistyped, with words missing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from iovsim.learning.generated.incident_kinds import phrases, pick

KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")  # a keyboard's rows: a slip hits the neighbour


def _table(text: str) -> dict[str, tuple[str, ...]]:
    """`a=b,c | d=e` becomes {a: (b, c), d: (e,)}."""
    pairs = (entry.split("=") for entry in phrases(text))
    return {word: tuple(others.split(",")) for word, others in pairs}


SHORTHAND = _table(
    """vehicle=veh | vehicles=vehs | traffic=trf | lane=ln | reports=rpts | caller=clr | northbound=NB | southbound=SB |
    eastbound=EB | westbound=WB | with=w | requested=req | awaiting=awtg | stationary=stat | please=pls |
    ambulance=ambo | police=pol | people=ppl | persons=pers | pedestrian=ped | accident=accid | roadworks=r/works,RW |
    breakdown=b/down | and=&,+ | carriageway=c/way | emergency=emerg | control=ctrl | correction=corr | cleared=clrd |
    closed=clsd | minutes=min | engine=eng | signals=sigs | congestion=cong | message=msg | camera=cctv | unit=u |
    Street=St | Road=Rd | Avenue=Av | Lane=Ln | Square=Sq | bypass=byp | interchange=intchg | junction=jct | near=nr"""
)
SLANG = _table(
    """you=u | are=r | people=ppl | please=pls,plz | and=n,& | through=thru | there's=theres | it's=its | don't=dont |
    can't=cant | won't=wont | I'm=im | I've=ive | that's=thats | couldn't=couldnt | to=2 | lights=lites | road=rd |
    traffic=trafic | because=cos | about=abt | ambulance=ambo | everybody=every1 | somebody=sb | minutes=mins |
    Street=st | Road=rd | nobody=no1 | going=goin | coming=comin | with=w"""
)
MISHEARD = _table(
    """brake=break | broke=brook | broken-down=broken town | lorry=Laurie | queue=cue | crash=crush | ice=eyes,rice |
    crashed=crushed | lights=likes,lice | works=walks | roadworks=road walks,rope works | walking=working | walk=work |
    lane=line,rain | sirens=silence | tyre=tire,tired | jam=gym | signal=single | kids=kits |
    hit=heat | van=ban | car=card | debris=the breeze | digger=bigger | ladder=letter | oil=all | fuel=fool |
    driver=diver | pallet=ballot | bus=boss | coach=couch | ghost=coast | traffic=graphic | stuck=struck | tow=toe |
    skidded=skipped | tailback=tailpipe | pile-up=pie up | accident=accent | load=road | fire=flyer | foot=food |
    gritted=gridded | flood=blood | sliding=slicing | crawling=calling | bonnet=bonus | shunt=shut | people=purple"""
)


@dataclass(frozen=True, slots=True)
class Noise:
    """What a style does: for each word the probability of each mishap, for the whole message that of its case."""

    shortened: float
    short: Mapping[str, Sequence[str]]
    misheard: float
    mistyped: float
    dropped: float  # any word
    bare: float  # an article is left out
    lower: float
    upper: float


NOISE = {
    "chat": Noise(0.35, SLANG, misheard=0.12, mistyped=0.04, dropped=0.02, bare=0.1, lower=0.5, upper=0.02),
    "dispatch": Noise(0.6, SHORTHAND, misheard=0.06, mistyped=0.03, dropped=0.01, bare=0.8, lower=0.3, upper=0.25),
    "formal": Noise(0.0, {}, misheard=0.0, mistyped=0.003, dropped=0.0, bare=0.0, lower=0.0, upper=0.0),
}
_ARTICLES = frozenset({"a", "an", "the"})
_KEPT = frozenset({"no", "not", "but", "wrong"})  # a message without these might say the contrary
_WORD = re.compile(r"[^\s,.:?()]+")
_GAP = re.compile(r" +([,.:?])")
_START = re.compile(r"(?:^|(?<=[.?] ))[a-z]")


def disturb(text: str, noise: Noise, rng: np.random.Generator) -> str:
    """The message with mishaps drawn for each of its words, and without the gaps that missing words leave."""
    text = _WORD.sub(lambda word: _mishap(word[0], noise, rng), text)
    text = _GAP.sub(r"\1", " ".join(text.split())).lstrip(",.:? ")
    case = rng.random()
    if case < noise.lower:
        return text.lower().rstrip(".")
    if case < noise.lower + noise.upper:
        return text.upper()
    return _START.sub(lambda letter: letter[0].upper(), text)


def _mishap(word: str, noise: Noise, rng: np.random.Generator) -> str:
    drop, swap, slip = rng.random(3)
    if word in _KEPT:
        return word
    if drop < (noise.bare if word in _ARTICLES else noise.dropped):
        return ""
    if word in noise.short and swap < noise.shortened:
        return pick(noise.short[word], rng)
    if word in MISHEARD and swap > 1 - noise.misheard:
        return pick(MISHEARD[word], rng)
    return _mistyped(word, rng) if slip < noise.mistyped and len(word) > 3 and word.isalpha() else word


def _mistyped(word: str, rng: np.random.Generator) -> str:
    """A word with two letters exchanged, one lost, one doubled, or one taken from the neighbouring key."""
    k = int(rng.integers(1, len(word) - 1))
    before, letter, after = word[:k], word[k], word[k + 1 :]
    row = next((row for row in KEYS if letter in row), letter)
    neighbour = row[(row.index(letter) + 1) % len(row)]
    ways = (
        before + after[0] + letter + after[1:],
        before + after,
        before + 2 * letter + after,
        before + neighbour + after,
    )
    return pick(ways, rng)
