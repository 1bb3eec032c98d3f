"""Hard pseudo-labels: minimisers of the Potts model itself (`potts_model`), and the rounding of soft labels (`rounding`).

`graph_cut` is alpha-expansion on sparse neighbourhoods, `mean_field` works on any neighbourhood.
"""
