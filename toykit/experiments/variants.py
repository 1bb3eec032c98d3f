"""Names of a study's variants in words, for tables and figures."""

import re

#: Pattern of a variant's name -> its title; \1 is what the group stands for. Other names are their own titles, such as those of
#: methods (except hard) and presets, which a reader types.
TITLES = {
    r"no_potts": "no Potts term",
    r"lam_over_eta_(.+)": r"λ/η = \1",
    r"lambda_(.+)": r"λ = \1",
    r"stride_(.+)": r"cells of \1 x \1",
    r"bandwidth_(.+)": r"bandwidth = \1",
    r"connectivity_(.+)": r"\1 neighbours",
    r"present_all": "all classes allowed",
    r"no_class_balance": "no class balance",
    r"balance_seeds": "balance of eq. (8)",
    r"cce_q": "CCE and Q",
    r"one_schedule": "one schedule",
    r"evaluation_mode": "evaluation mode",
    r"descent_nn": "descent on NN",
    r"(?:gd|gradient_descent), (.+)": r"gradient descent, \1",
    r"hard": "hard labels",
}


def title(name: str) -> str:
    """Return a variant's name in words.

    Parameters
    ----------
    name : str
        As in the column variant of a study's table.

    Returns
    -------
    str
        By the first pattern of `TITLES` that fits the whole name; the name itself if none does.
    """
    return next(
        (re.sub(pattern, words, name) for pattern, words in TITLES.items() if re.fullmatch(pattern, name)), name
    )
