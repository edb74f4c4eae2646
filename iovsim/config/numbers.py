"""The ranges of numbers that the world file's tables share."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Part = Annotated[float, Field(gt=0, le=1)]
Seconds = Annotated[float, Field(gt=0, le=7 * 86400)]
Power = Annotated[float, Field(ge=-60, le=90)]
Gain = Annotated[float, Field(ge=-30, le=60)]
Rank = Annotated[int, Field(ge=1, le=1024)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
