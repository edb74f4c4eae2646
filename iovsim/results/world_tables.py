"""Turns the world of a run into declared tables: the city, its RSUs, the contacts with them, the vehicles' data."""

from __future__ import annotations

from iovsim.domain import ContactEnd
from iovsim.results.schema import Table, count, maybe, one_of, real, text

WORLD = (
    Table(
        "contacts",
        "one vehicle attached to one RSU",
        (
            count("contact", "number of the contact in the world"),
            text("vehicle", "the vehicle"),
            text("rsu", "the RSU"),
            real("start_s", "s", "start, simulated time"),
            real("end_s", "s", "end"),
            one_of("end", ContactEnd, "why it ended (iovsim.domain.ContactEnd)"),
            real("distance_min_m", "m", "smallest distance to the RSU"),
            real("mean_gain_db", "dB", "mean of the gain without small-scale fading, averaged in dB"),
            real("los_share", "1", "share of the time in line of sight"),
            real("nlos_share", "1", "share of the time behind a building"),
        ),
    ),
    Table(
        "handovers",
        "one vehicle going from one RSU to the next",
        (
            real("time_s", "s", "start of the new contact, simulated time"),
            text("vehicle", "the vehicle"),
            text("from_rsu", "the RSU it left"),
            text("to_rsu", "the RSU it came to"),
            real("gap_s", "s", "time without any contact in between"),
        ),
    ),
    Table(
        "rsus",
        "one RSU",
        (
            text("rsu", "the RSU"),
            real("x_m", "m", "east coordinate of the antenna"),
            real("y_m", "m", "north coordinate of the antenna"),
            real("height_m", "m", "antenna height"),
            real("range_m", "m", "coverage radius"),
        ),
    ),
    Table(
        "density",
        "one square cell of the map in which vehicles spent time",
        (
            real("x_m", "m", "east coordinate of the cell's centre"),
            real("y_m", "m", "north coordinate of the cell's centre"),
            real("cell_m", "m", "side of the cell"),
            real("vehicle_s", "s", "time that vehicles spent in it, summed over vehicles"),
        ),
    ),
    Table(
        "connectivity",
        "the city at one instant",
        (
            real("time_s", "s", "simulated time"),
            count("vehicles", "vehicles in the city"),
            count("connected", "those attached to an RSU"),
        ),
    ),
    Table(
        "shapes",
        "one corner of one line or outline of the map, in order",
        (
            one_of("kind", ("road", "building"), "what is drawn"),
            count("shape", "number of the road or building"),
            count("point", "number of the corner"),
            real("x_m", "m", "east coordinate"),
            real("y_m", "m", "north coordinate"),
        ),
    ),
    Table(
        "shards",
        "one vehicle's data for one task",
        (
            text("vehicle", "the vehicle"),
            count("district", "the district it belongs to"),
            text("tier", "device tier of the vehicle"),
            text("task", "the task"),
            count("train_samples", "samples it trains on"),
            count("test_samples", "its own held-out samples"),
            count("classes", "different classes among its training samples"),
            maybe("first_s", "s", "when its first training sample came, simulated time; null: held from the start"),
            maybe("last_s", "s", "when its last training sample came; null: held from the start"),
        ),
    ),
    Table(
        "shard_classes",
        "the samples of one class that one vehicle holds for one task; classes it has none of are left out",
        (
            text("vehicle", "the vehicle"),
            text("task", "the task"),
            text("class", "the class"),
            count("train_samples", "samples it trains on"),
            count("test_samples", "its own held-out samples"),
        ),
    ),
    Table(
        "data",
        "the samples of one class and one district in one part of a task's data",
        (
            text("task", "the task"),
            one_of("part", ("train", "validation", "test"), "what they serve for"),
            text("district", "the district's number; empty where the data name none"),
            text("class", "the class"),
            count("samples", "how many there are"),
        ),
    ),
)
