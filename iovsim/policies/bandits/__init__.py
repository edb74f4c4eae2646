"""Statistics of arms and the price of energy become ranks: UCB-DUAL, what it is held against, and the optimum.

| file | holds |
|---|---|
| `offers` | what is asked of a bandit and what it answers; what a rule and a learner must do |
| `statistics` | what is known of the arms, with discount or window |
| `notebook` | statistics shared by task and tier, carried by vehicles from RSU to RSU |
| `prices` | prices of energy: with falling steps, by the pessimistic-optimistic bandit's queue, by the engine's rules |
| `rewards` | a job's end as reward and cost |
| `ucb_dual`, `authors` | UCB-DUAL, and as P1's authors' code has it |
| `epsilon_greedy`, `thompson`, `exp3`, `linucb` | what it is held against |
| `learning` | a rule with statistics of its own; one that moves to neighbours only |
| `clairvoyant` | the best mixture of arms within a budget, for who knows all means |

A policy asks a rule once for each vehicle, with what the RSU's notebook knows of its arms:

    choice = UcbDual().choose(notebook.known((task, tier), round), Offer(round, feasible, price.value), rng)
    notebook.observe((task, tier), round, choice.arm, reward, cost)   # when the job is over
    price.update(costs_of_the_round, budget, clients)                 # once a period
"""

from __future__ import annotations

from iovsim.policies.bandits.authors import AuthorsUcbDual
from iovsim.policies.bandits.clairvoyant import Optimum, optimum
from iovsim.policies.bandits.epsilon_greedy import EpsilonGreedy
from iovsim.policies.bandits.exp3 import Exp3
from iovsim.policies.bandits.learning import Adjacent, Learning
from iovsim.policies.bandits.linucb import LinUcb
from iovsim.policies.bandits.notebook import Notebook
from iovsim.policies.bandits.offers import Choice, Learner, Noise, Offer, Rule, adjacent
from iovsim.policies.bandits.prices import AnytimePrice, Price, QueuePrice, RulePrice
from iovsim.policies.bandits.rewards import Quality, RewardRule, authors_reward, gain, likelihood
from iovsim.policies.bandits.statistics import Forgetting, Statistics, Tally
from iovsim.policies.bandits.thompson import Thompson
from iovsim.policies.bandits.ucb_dual import UcbDual

__all__ = [
    "Adjacent",
    "AnytimePrice",
    "AuthorsUcbDual",
    "Choice",
    "EpsilonGreedy",
    "Exp3",
    "Forgetting",
    "Learner",
    "Learning",
    "LinUcb",
    "Noise",
    "Notebook",
    "Offer",
    "Optimum",
    "Price",
    "Quality",
    "QueuePrice",
    "RewardRule",
    "Rule",
    "RulePrice",
    "Statistics",
    "Tally",
    "Thompson",
    "UcbDual",
    "adjacent",
    "authors_reward",
    "gain",
    "likelihood",
    "optimum",
]
