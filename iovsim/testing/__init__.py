"""For those who extend iovsim: checks for what a policy file can name, a tiny world, and a trainer without torch.

```python
from iovsim.testing import check_policy
check_policy(lambda: MyPolicy(limit=3))
```
"""

from __future__ import annotations

from iovsim.testing.aggregators import check_aggregator, effective_update
from iovsim.testing.budgets import check_budget, check_price
from iovsim.testing.fallbacks import check_fallback
from iovsim.testing.policies import check_policy
from iovsim.testing.traffic import check_traffic
from iovsim.testing.worlds import FakeTrainer, tiny_views, tiny_world

__all__ = [
    "FakeTrainer",
    "check_aggregator",
    "check_budget",
    "check_fallback",
    "check_policy",
    "check_price",
    "check_traffic",
    "effective_update",
    "tiny_views",
    "tiny_world",
]
