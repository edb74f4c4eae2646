"""Turns finished training and evaluations into files on the disk, so that equal ones are not computed again."""
