"""SUMO's traffic becomes a trace, and a trace with road-side units becomes contacts with exact beginnings and ends.

`sumo` records, `trace` reads in windows, `contacts` and `attachment` find who is attached where and when, `roadmap` and
`placement` read the map and put RSUs on it, `forecast` says what may be known of a contact's end, `survey` counts.
`map_build` makes maps of OpenStreetMap extracts, `map_store` fetches those of `catalogue` and finds maps by name.
"""
