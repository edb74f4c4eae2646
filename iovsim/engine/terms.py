"""What the course of one job depends on, gathered from the world and the assignment."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from iovsim.domain import (
    Architecture,
    Assignment,
    Contact,
    Device,
    FloatArray,
    IntArray,
    Link,
    Radio,
    Task,
    Tuning,
    World,
)
from iovsim.energy.architectures import with_blocks
from iovsim.energy.compute import stack_bits, train_flops, train_s, update_bits
from iovsim.radio.rate import rate_bps


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """One client's contact, link, device and task in a world, whatever it may be assigned."""

    contact: Contact
    link: Link
    device: Device
    task: Task
    samples: IntArray  # those the vehicle holds when the round begins
    radio: Radio
    tuning: Tuning
    price_bits: float = 0.0  # broadcast with the download
    ranks_down: int | None = None  # where factors are stacked: how many ranks the vehicle is behind


def mean_gain_at(link: Link, time_s: float) -> float:
    """The mean gain at the last link sample at or before `time_s`: the latest that could have been measured."""
    return float(link.mean_gain[max(int(np.searchsorted(link.time_s, time_s, side="right")) - 1, 0)])


def terms_of(
    world: World,
    contact: Contact,
    task: Task,
    tuning: Tuning,
    time_s: float,
    *,
    price_bits: float = 0.0,
    ranks_down: int | None = None,
) -> Terms:
    """The terms under which the vehicle of `contact` would serve `task` from `time_s` on."""
    vehicle = world.vehicles[contact.vehicle]
    link = world.links.link(contact.contact)
    held = vehicle.shards[task.task].held(time_s)
    return Terms(contact, link, vehicle.device, task, held, world.radio, tuning, price_bits, ranks_down)


def as_driven(world: World, terms: Terms) -> Terms:
    """The same terms, with contact and link as far as they are known now; in a live run they have grown."""
    contact = terms.contact.contact
    return replace(terms, contact=world.contacts[contact], link=world.links.link(contact))


def charged(terms: Terms, assignment: Assignment) -> Architecture:
    """The model that is charged, without the blocks that the client has not."""
    if assignment.blocks is None:
        return terms.task.charged
    return with_blocks(terms.task.charged, len(assignment.blocks) / len(terms.task.blocks))


def up_bits(terms: Terms, assignment: Assignment) -> float:
    """Bits of the update that it sends. A rank that training gives up is sent for the last time."""
    return update_bits(charged(terms, assignment), assignment.rank, terms.tuning, local_head=terms.task.local_head)


def down_bits(terms: Terms, assignment: Assignment) -> float:
    """Bits of one download, with the price of energy where the method has one.

    As much as the update, or all stacked factors that the vehicle has not got yet.
    """
    if terms.ranks_down is None:
        return up_bits(terms, assignment) + terms.price_bits
    return stack_bits(terms.task.charged, terms.ranks_down, local_head=terms.task.local_head) + terms.price_bits


def compute_s(terms: Terms, assignment: Assignment) -> float:
    """Seconds of local training: FLOPs of the charged architecture over the device's effective speed."""
    samples = assignment.local_epochs * len(terms.samples)
    return train_s(terms.device, train_flops(charged(terms, assignment), assignment.rank, samples, terms.tuning))


def downlink_bps(terms: Terms, assignment: Assignment, gain: FloatArray) -> FloatArray:
    """Rate from RSU to vehicle at the given gains; the RSU's power is spread evenly over its band."""
    radio = terms.radio
    share_w = radio.rsu_power_w * assignment.bandwidth_down_hz / radio.bandwidth_down_hz
    return rate_bps(
        gain,
        assignment.bandwidth_down_hz,
        share_w,
        radio.vehicle_noise_w_per_hz,
        radio.efficiency,
        radio.max_bps_per_hz,
    )


def uplink_bps(terms: Terms, assignment: Assignment, gain: FloatArray) -> FloatArray:
    """Rate from vehicle to RSU at the given gains; the vehicle's whole power goes into its own share of the band."""
    radio = terms.radio
    return rate_bps(
        gain,
        assignment.bandwidth_up_hz,
        assignment.power_w,
        radio.rsu_noise_w_per_hz,
        radio.efficiency,
        radio.max_bps_per_hz,
    )
