"""Turns a style into the sentences that it is written in, and a slot of theirs into the words that may fill it."""

from __future__ import annotations

from collections.abc import Mapping

from iovsim.learning.generated.incident_kinds import phrases


def _table(texts: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    return {name: phrases(text) for name, text in texts.items()}


# What any kind may draw from.
WORDS = _table(
    {
        "car": """car | van | lorry | bus | taxi | minibus | delivery van | pickup | coach | tanker | camper | red
            hatchback""",
        "two": """two cars | a car and a van | a lorry and a car | a bus and a taxi | three cars | two vans | a
            motorbike and a taxi | a tanker and a coach""",
        "digit": "2 | 3 | 4 | 6",
        "several": "two | three | four | five | 2 | 3 | 6",
        "lane": "the left lane | the right lane | the middle lane | the outside lane | lane 1 | lane 2",
        "thing": """a ladder | a mattress | a fallen tree | a big branch | a truck tyre | a pallet | a sofa | a metal
            sheet | gravel | a wheelie bin | some traffic cones | a dead deer | crates | a roof box""",
        "earlier": "this morning | last night | yesterday | earlier | an hour ago | before lunch | last week",
        "number": "3 | 7 | 12 | 18 | 21 | 34 | 46",
        "clock": "06:48 | 07:15 | 08:02 | 09:37 | 11:20 | 13:05 | 14:32 | 16:51 | 17:44 | 19:10 | 22:26 | 23:58",
        "ago": "just now | a minute ago | five minutes ago | at about half past | ten to four | around 8",
        "quality": """Confidence {number} of 50. | Severity low. | Severity high. | Validity 20 minutes. | Relevance
            distance 500 m. | Source: single vehicle. | Source: two vehicles. | | |""",
        "source": "Roadside unit | Camera | Vehicle | Service centre | Gantry camera",
        "unit": "unit {number} | car {number} | patrol {number} | highways {number}",
        "order": """attend please | ETA {number} minutes | all units be aware | pass to highways | grade 1 | grade 3 |
            no units free""",
        "hi": "| | | hi all, | morning, | heads up, | guys, | hey, | anyone near? | ok so",
        "hedge": "I think | looks like | pretty sure | not sure but | apparently | seems",
        "bye": """take care | drive safe | avoid | go round | sorry for typing | hope that helps | cheers | someone
            should call it in""",
        "tail": "| | , {upshot} | . {upshot} | . {bye} | . {upshot}, {bye}",
        "said": "{clause} | {clause} | there's {noun} | {hedge} there's {noun}",
    }
)

# Messages that name one incident.
PLAIN = {
    "chat": (
        "{hi} {said} {at}{tail}",
        "{hi} {said} {at}{tail}",
        "{at}, {clause}{tail}",
        "watch out, {noun} {at}{tail}",
        "{noun} {at}{tail}",
        "{hi} saw {noun} {at} {ago}{tail}",
        "{hi} avoid {street}, {clause}{tail}",
        "{clause} {at}. that was {ago}{tail}",
    ),
    "dispatch": (
        "{unit}, {short} {at}. {order}",
        "{short} {at}, {clock}",
        "control to {unit}, {short} {at}, {order}",
        "caller reports {short} {at}. {upshot}",
        "{clock} {short} {at}. {order}",
        "{unit}: {short}, {at}, {upshot}",
    ),
    "formal": (
        "{source} {number}: {formal}, {at}. Detected {clock}. {quality}",
        "Event {at}, {clock}: {formal}. {quality}",
        "{formal}, {at}, since {clock}. {quality}",
        "Warning {at}: {formal}. Reported by {source} {number}. {quality}",
    ),
}

# Messages that name another incident too, which is not the label: it is over, denied, taken for the true one, or a
# landmark. Slots that begin with `other_` are filled from that other kind.
ASIDE = {
    "chat": (
        "{hi} {other_over}, but now {said} {at}{tail}",
        "{hi} {said} {at}. {other_over} by the way",
        "{hi} {said} {at}, {other_landmark}{tail}",
        "{other_landmark} {at}, {clause}{tail}",
        "thought it was {other_noun} {at}, but no, {said}{tail}",
        "no {other_head} {at} like they say, {said}{tail}",
        "{said} {at}, not {other_noun}{tail}",
        "the radio said {other_noun} {at}. wrong, {said}{tail}",
        "the app still shows {other_noun} {at}, that's old. {said}{tail}",
        "{hi} {said} {at}. from afar it looked like {other_noun}",
        "{earlier} it was {other_noun} {at}, today {said}{tail}",
        "{hi} {said} {at}. {earlier} it was {other_noun}",
        "forget what I wrote about {other_noun} {at}, {said}{tail}",
        "people talk of {other_noun} {at}. I'm here and {said}, nothing else{tail}",
        "{hi} {said} {at}{tail}. no {other_head} though",
    ),
    "dispatch": (
        "{short} {at}. first call was {other_short}, not so",
        "ref {other_short} {at}, stand down. now {short}, {order}",
        "{other_short} {at} closed {clock}. new call same place, {short}",
        "{short} {at}, not {other_short} as passed",
        "update {at}: {other_short} is wrong, {unit} on scene says {short}",
        "caller said {other_short} {at}, camera shows {short}. {order}",
        "{short} {at}, no link to {other_short} {earlier}",
        "{other_short} {at} {earlier}, cleared. today {short}, {order}",
        "{short} {at}. no {other_head} seen",
        "correction {at}, for {other_short} read {short}",
        "{unit}: {short} {at}, {other_landmark}",
    ),
    "formal": (
        "Event {at}, {clock}: {formal}. Replaces: {other_formal}.",
        "{source} {number}: type changed from {other_formal} to {formal}, {at}, {clock}. {quality}",
        "{at}: {other_formal}, terminated {clock}. New event at this position: {formal}. {quality}",
        "{formal}, {at}, since {clock}. Not confirmed: {other_formal}.",
        "{at}: {other_formal} ruled out. Detected: {formal}. {quality}",
        "Cancelled {at}: {other_formal}. Active: {formal}.",
        "Correction {at}: {formal} instead of {other_formal}. {quality}",
        "{source} {number}: {formal}, {at}. Earlier message at this position ({other_formal}) expired.",
    ),
}
