"""Hard pseudo-labels: minimisers of the Potts model itself (`potts_model`), and the rounding of soft labels (`rounding`).

`graph_cut` does alpha-expansion on neighbourhoods that list their edges; `mean_field` works on any neighbourhood.
"""
