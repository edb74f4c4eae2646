"""Turns what can happen on a road into the ways of saying it: the classes of the incident messages and their phrases.

The kinds follow the cause types of ETSI's warnings (DENM: EN 302 637-3, TS 103 831); all wording is ours. Phrases are
separated by `|`; a slot in braces is filled from `incident_sentences.WORDS` or from the names of the district's places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


def phrases(text: str) -> tuple[str, ...]:
    """The phrases of a text in which they stand one behind the other, separated by `|`."""
    return tuple(" ".join(phrase.split()) for phrase in text.split("|"))


def pick(ways: Sequence[str], rng: np.random.Generator) -> str:
    """One of them, each as likely as the others."""
    return ways[int(rng.random() * len(ways))]


@dataclass(frozen=True, slots=True)
class Kind:
    """One class of incident, in the words of a driver, a dispatcher and a machine."""

    name: str
    head: str  # behind "no": "no crash, but ..."
    noun: str  # what a driver saw, with its article
    clause: str  # what happened, as a driver says it
    short: str  # a dispatcher's shorthand
    formal: str  # a machine's type of event
    upshot: str  # what follows from it, often in the words of other kinds
    over: str  # it was there and has gone
    landmark: str  # a place named after an earlier one


KINDS = (
    Kind(
        "collision",
        head="crash | accident | pile-up",
        noun="""a crash with {two} | an accident between {two} | a pile-up of {several} cars | a {car} on its side | a
            bad shunt | {two} smashed into each other | a {car} wrapped round a lamp post | a bump with a cyclist""",
        clause="""{two} crashed into each other | a {car} ran into the back of a {car} | a {car} hit the barrier | a
            {car} braked too late and went into the {car} in front | a {car} pulled out and got hit by a {car} | a {car}
            knocked a cyclist down | a {car} went straight into a parked {car} | someone rear-ended me""",
        short="""RTC {car} v {car} | RTC damage only | RTC poss injuries | shunt, {several} vehicles | {car} into
            barrier | accident {two} | {car} overturned | car v cyclist, rider down""",
        formal="""collision between two vehicles | rear-end collision, {several} vehicles | overturned {car} | vehicle
            impact with crash barrier | accident involving a {car} | collision of a {car} with a cyclist""",
        upshot="""the queue behind it is growing | the drivers are standing in the road arguing | glass all over {lane}
            | an ambulance has been called | oil on the road as well | one of them is not moving | nobody hurt I
            think""",
        over="""the crash from {earlier} is cleared | they towed the two that crashed {earlier} | the wrecks from
            {earlier} are gone | the accident from {earlier} is dealt with""",
        landmark="where the crash was {earlier} | at the spot of the accident {earlier}",
    ),
    Kind(
        "breakdown",
        head="breakdown | broken-down {car} | stranded {car}",
        noun="""a broken-down {car} | a {car} with a flat tyre | a {car} with its bonnet up | a dead {car} in {lane} | a
            {car} stopped with its hazard lights on | a {car} out of fuel | a {car} that won't start | a stranded {car}
            waiting for a tow""",
        clause="""a {car} broke down | a {car} conked out | a {car} stopped with smoke coming from the engine | my
            engine died and I can't move | we have a flat tyre and nowhere to pull over | a {car} ran out of fuel | a
            {car} sits in {lane} with hazards flashing | a {car} lost a wheel and can't go on""",
        short="""breakdown {car} | {car} stationary, hazards flashing | {car} flat tyre awaiting recovery | {car} no
            fuel | stranded {car}, {lane} | {car} engine failure | disabled {car} {lane}""",
        formal="""stationary vehicle, technical fault | broken-down {car} | immobile {car} in {lane} | vehicle breakdown
            | disabled {car}, driver on verge | stationary vehicle, engine failure""",
        upshot="""the driver is out on the road in a yellow vest | queue growing behind it | needs a tow truck | cars
            swerve around it, somebody will crash | {lane} is blocked | no warning triangle out""",
        over="""the {car} that broke down {earlier} got towed | that dead {car} from {earlier} is gone | the {car} with
            the flat tyre is moving again | the stranded {car} from {earlier} has left""",
        landmark="by the {car} that was left there {earlier} | where the {car} broke down {earlier}",
    ),
    Kind(
        "roadworks",
        head="roadworks | works | building site",
        noun="""roadworks | a digger and cones in {lane} | men resurfacing {lane} | a works lorry and a row of cones | a
            closed lane with workmen | a big hole being dug by the water people | new roadworks | temporary lights and a
            building crew""",
        clause="""they are digging up {lane} | they started resurfacing | workmen closed {lane} | a crew is putting out
            cones | they are painting new lines | the gas people opened up the road | a works van is closing {lane}""",
        short="""roadworks, {lane} coned off | works crew {lane} | emergency works water main | resurfacing {lane} |
            works vehicle with arrow board | contraflow set up by contractor""",
        formal="""roadworks, {lane} closed | short-term works | mobile works vehicle in {lane} | maintenance works |
            works site, temporary signals | resurfacing works, narrow lanes""",
        upshot="""only one lane left | queue at the temporary lights | people with shovels walk between the cars | loose
            gravel, it is slippery | signs are hard to see | a lorry is unloading stones""",
        over="""the roadworks have finished | the diggers left {earlier} | the cones were taken away {earlier} | they
            are done with the roadworks""",
        landmark="just after the roadworks | at the end of the roadworks | in the works area",
    ),
    Kind(
        "congestion",
        head="traffic jam | queue | tailback",
        noun="""a traffic jam | a long queue | a tailback | stop and go traffic | a queue that doesn't move | solid
            traffic | a massive jam | slow traffic in {lane}""",
        clause="""nothing moves | traffic is at a standstill | we have been crawling for ages | it's bumper to bumper |
            I've moved maybe a hundred metres in {several} minutes | everything has come to a stop | it took me half an
            hour to get through | the traffic is backed up""",
        short="""heavy traffic | queue {several} hundred metres | stationary traffic | slow traffic {lane} | tailback,
            cause unknown | congestion, speed under 10""",
        formal="""congestion, mean speed 8 km/h | queue of {digit}00 m | stationary traffic | slow traffic in {lane} |
            traffic jam, length increasing | high traffic volume, stop and go""",
        upshot="""no idea why | people are getting out of their cars | somebody is going to run into the back of it |
            even the ambulance couldn't get through | cars are turning round and driving back | it just gets longer""",
        over="""the jam from {earlier} has gone | the queue has cleared | the tailback from {earlier} is no more |
            traffic was bad {earlier} but it flows again""",
        landmark="where the queue was {earlier} | where it always jams",
    ),
    Kind(
        "obstacle",
        head="debris | obstacle | lost load",
        noun="""{thing} in {lane} | {thing} in the middle of the road | something big lying in {lane} | a lost load |
            {thing} on the tarmac | a spilled load | debris all over {lane}""",
        clause="""{thing} fell off a {car} | {thing} is lying in {lane} | a {car} lost its load | the wind blew {thing}
            across | I nearly drove over {thing} | a {car} has dropped {thing} in {lane}""",
        short="""debris {lane} | {thing} in {lane} | shed load ex {car} | object in carriageway | loose load, {thing} |
            obstruction, {thing}""",
        formal="""object on the road, {lane} | lost cargo | obstacle, estimated height 0.{digit} m | {thing} in {lane} |
            debris in {lane} | fixed obstacle, size unknown""",
        upshot="""cars swerve round it | it nearly caused a crash | somebody got out to drag it away, on foot | must be
            from a lorry | I think I have a flat tyre now | traffic slows to go round it""",
        over="""they picked up {thing} that lay there {earlier} | the debris from {earlier} is gone | somebody dragged
            {thing} off the road | the lost load is swept up""",
        landmark="where {thing} lay {earlier} | where that lorry lost its load {earlier}",
    ),
    Kind(
        "slippery road",
        head="ice | black ice | oil",
        noun="""black ice | ice all over {lane} | standing water in {lane} | a diesel spill | mud across the road | wet
            leaves, like soap | aquaplaning | a sheet of ice | fresh snow, nobody gritted""",
        clause="""it's slippery as hell | cars are sliding about | I skidded and nearly hit the barrier | my ABS kicked
            in, no grip at all | the road is frozen over | a {car} is sliding around on the ice | the rain has flooded
            {lane} | there is oil all over {lane}""",
        short="""ice {lane} | black ice, gritter requested | oil spill {lane} | flooding, {lane} under water | road
            surface slippery | vehicles skidding""",
        formal="""slippery road, ice | low friction, coefficient 0.{digit} | water on {lane} | oil on {lane} | adhesion
            warning | black ice, surface below zero | snow on {lane}""",
        upshot="""nearly ended in a crash | a {car} only just stopped | everybody is crawling | needs a gritter | even
            the bus couldn't stop | don't brake there""",
        over="""the ice from {earlier} has melted | they have gritted it, no ice now | the oil from {earlier} is cleaned
            up | the flood from {earlier} has drained away""",
        landmark="where it was so icy {earlier} | where the road was flooded {earlier}",
    ),
    Kind(
        "signal failure",
        head="signal failure | broken lights | light failure",
        noun="""broken traffic lights | traffic lights that are all dark | lights stuck on red | lights flashing amber |
            a dead signal | lights showing green to everyone | a traffic light knocked sideways""",
        clause="""the traffic lights are out | the lights have failed | the lights are stuck on red | no signal is
            working | the lights show green on all sides | the signal only blinks | the crossing lights went dark""",
        short="""ATS out all sides | lights stuck on red | signals flashing amber | signal failure, engineer requested |
            traffic lights not working | ATS dark, power cut""",
        formal="""signal failure, all approaches dark | traffic light controller fault | signals flashing amber | signal
            group {digit} stuck on red | loss of signal control | traffic lights out of order""",
        upshot="""nobody knows who goes first | queues on all sides | nearly got hit there | an officer waves cars
            through | people on foot can't get across | there will be an accident soon""",
        over="""the lights that failed {earlier} work again | they repaired the signal | the lights are back on | the
            traffic lights were out {earlier} but are fine now""",
        landmark="at the lights that failed {earlier} | by the signal that was out {earlier}",
    ),
    Kind(
        "emergency vehicle",
        head="ambulance | fire engine | police car",
        noun="""an ambulance with blue lights flashing | a fire engine coming up fast | {several} police cars with
            sirens | an ambulance trying to get through | a fire engine going the other way round the island | blue
            lights behind us""",
        clause="""an ambulance is coming through | a fire engine is racing up behind us | I hear sirens coming closer |
            {several} police cars shot past me | an ambulance wants to pass | blue lights are coming up in {lane}""",
        short="""ambulance en route blue lights, keep {lane} clear | fire engine responding | police convoy moving |
            priority run, ambulance | units on blues and twos | fire appliance approaching""",
        formal="""emergency vehicle approaching | ambulance, light bar active | fire engine, siren active | police
            vehicle in priority run | prioritised vehicle approaching in {lane} | rescue vehicle underway""",
        upshot="""pull over | everybody is stopping on the left | it jumped the red light | make way | it nearly hit a
            {car} | must be going to some crash""",
        over="""the ambulance got through | the fire engine went past {earlier} | the police cars from {earlier} have
            left | the sirens stopped, they are gone""",
        landmark="where the fire engine stood {earlier} | where the police were {earlier}",
    ),
    Kind(
        "wrong-way driver",
        head="wrong-way driver | ghost driver | driver on the wrong side",
        noun="""a {car} on the wrong side | a ghost driver | someone driving the wrong way | a {car} coming towards us
            in {lane} | a {car} going against the traffic | headlights coming at us | a lost {car} driving up the
            exit""",
        clause="""a {car} is coming the wrong way | someone is driving against the traffic | a {car} turned into the
            exit instead of the entry | a {car} is on our side, coming towards us | I met a {car} head-on in {lane} | an
            old man in a {car} went up the wrong slip road""",
        short="""{car} wrong way {lane} | wrong way driver, several calls | {car} against traffic | ghost driver | {car}
            entered via exit | {car} oncoming in {lane}""",
        formal="""wrong-way driving | vehicle in opposite direction, {lane} | {car} against direction of travel |
            wrong-way vehicle, speed {digit}0 km/h | {car} entered at exit | oncoming vehicle in {lane}""",
        upshot="""nearly hit me | everybody flashing their lights | police have been called | keep left | cars swerving
            everywhere | I almost crashed""",
        over="""the ghost driver from {earlier} has been stopped | the police caught the {car} that went the wrong way |
            that {car} going the wrong way has turned round | the wrong-way driver left the road""",
        landmark="where that ghost driver got in {earlier} | at the exit with the wrong-way driver {earlier}",
    ),
    Kind(
        "people on the road",
        head="pedestrians | people on the road | kids on the road",
        noun="""people walking in {lane} | kids playing on the road | a man on foot in {lane} | {several} people
            crossing | a jogger in {lane} | a group of hikers on the carriageway | a woman pushing a bike along {lane} |
            a drunk in the middle of the road""",
        clause="""people are walking on the road | kids are running across | a man is on foot in {lane} | {several}
            people just ran over the road | someone is standing in {lane} waving | a crowd is on the street | people
            climbed over the barrier and walk along {lane}""",
        short="""pedestrian in {lane} | {several} persons on carriageway | male on foot {lane} | kids on road | ped
            walking against traffic | persons on foot, poss fans""",
        formal="""persons on the carriageway | pedestrian in {lane} | human presence, {several} persons | children near
            the road | pedestrian walking against traffic | person walking along {lane}""",
        upshot="""cars braking hard | somebody will get hit | police on their way | maybe from a broken-down car | no
            idea where they come from | no lights, you hardly see them""",
        over="""the kids from {earlier} are off the road | the people who walked there {earlier} have gone | the police
            picked up the man on foot | the crowd from {earlier} has gone home""",
        landmark="where people were on the road {earlier} | where the kids ran across {earlier}",
    ),
)
