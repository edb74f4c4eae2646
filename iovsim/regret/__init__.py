"""Bandits and arms become regret and violation over time: the regret laboratory."""
