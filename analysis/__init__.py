"""Figures from run folders, and from nothing else."""
