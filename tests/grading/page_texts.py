"""The words of the invented outcomes: questions, mistakes, answers."""

QUESTIONS = {
    "cache": ("A mask for a ragged cache", 3.0),
    "weigh": ("Masked weights and their totals", 4.0),
    "repair": ("Mend a decoder", 2.0),
    "mean": ("An average over what is real", 2.0),
    "audit": ("Find out who reads the future", 3.0),
    "predict": ("What a change would do", 2.0),
}
MISTAKES = {
    "cache": (
        (
            "keys_offset",
            "Your mask aligns the last query with the last key of the "
            "buffer, but it is the last filled place of each text that "
            "counts.",
            'chapter 05_masks, section "ragged caches"',
        ),
        (
            "counts_queries_twice",
            "Your mask hides one key too many: a query may look at itself.",
            'chapter 05_masks, section "the diagonal"',
        ),
    ),
    "weigh": (
        (
            "over_queries",
            "Your weights are normalised over the queries, so that each "
            "column adds up to one; it is each row that must.",
            'chapter 02_softmax, section "which axis"',
        ),
        (
            "nan_rows",
            "A query that may look nowhere gets NaN from your function; "
            "it must get zeros.",
            'chapter 05_masks, section "rows that see nothing"',
        ),
    ),
    "repair": (
        (
            "looks_ahead",
            "Your decoder still reads the position that it predicts.",
            'chapter 05_masks, section "the triangle"',
        ),
    ),
}
STAGES = {
    "weigh": (
        ("values", "visible scores become the right weights", 2.0),
        ("rows", "a row that sees nothing becomes zeros", 1.0),
        ("extremes", "large scores neither overflow nor vanish", 1.0),
    ),
    "cache": (
        ("shape", "the mask has a row for each new query", 1.0),
        ("places", "the last filled place of each text is aligned", 2.0),
    ),
}
ANSWERS = {
    "cache": (
        "def cache_mask(lengths, *, queries, keys):\n"
        '    """Return who may look where, for each text."""\n'
        "    lengths = np.asarray(lengths)\n"
        "    row = np.arange(queries)[:, None]  # one row a query\n"
        "    column = np.arange(keys)\n"
        "    last = lengths[:, None, None] - queries + row\n"
        "    return column <= last\n"
    ),
    "weigh": (
        "def weigh(scores, mask):\n"
        "    hidden = np.where(mask, scores, -np.inf)\n"
        "    shifted = hidden - hidden.max(axis=-2, keepdims=True)\n"
        "    weights = np.exp(shifted)\n"
        "    total = weights.sum(axis=-2, keepdims=True)\n"
        "    return weights / total, np.log(total)\n"
    ),
    "repair": (
        "def step(tokens, state):\n"
        "    while True:  # until it has settled\n"
        "        state = state @ tokens\n"
    ),
    "mean": (
        "def mean_loss(losses, real):\n"
        "    picked = losses[real]\n"
        "    return picked.sum() / len(picked) / (real.sum() - real.size)\n"
    ),
    "audit": "def reads_the_future(decoder):\n    raise NotImplementedError\n",
    "predict": "def predictions():\n    return {'rise': 'it cannot'}\n",
}
GRID = (
    '<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="Heat '
    'maps: your matrix beside the expected one" width="190" height="80">'
    '<text x="0" y="14" font-size="13" fill="currentColor">yours</text>'
    '<rect x="0" y="22" width="26" height="26" fill="rgb(229,178,127)" '
    'stroke="#888"/><rect x="26" y="22" width="26" height="26" '
    'fill="rgb(204,102,0)" stroke="#888"/>'
    '<text x="100" y="14" font-size="13" fill="currentColor">expected</text>'
    '<rect x="100" y="22" width="26" height="26" fill="rgb(204,102,0)" '
    'stroke="#888"/><rect x="126" y="22" width="26" height="26" '
    'fill="rgb(229,178,127)" stroke="#888"/></svg>'
)
