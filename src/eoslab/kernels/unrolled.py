"""The operations that depend on the number of parameters, written out component by component as Python text."""

from __future__ import annotations

__all__ = ["lane_block_text", "lane_slots_for", "slots_for", "tangent_text"]


def slots_for(n: int, hom: int, adaptive: bool, projection: bool, n_h: int, n_p: int, formulas: set[str]) -> str:
    """The unrolled operations, as Python text."""
    every = range(n)

    def tup(template: str, k: int = n) -> str:
        return "(" + "".join(template.format(i=i) + ", " for i in range(k)) + ")"

    def hom_tup(at: str, other: str) -> str:
        return "(" + ", ".join((at if i == hom else other).format(i=i) for i in every) + ",)"

    lines = [
        f"HOM = {hom}",
        f"ADAPTIVE = {adaptive}",
        f"PROJECTS = {projection}",
        f"HAS_GFS = {'gfs_sharpness' in formulas}",
    ]

    def define(head: str, *body: str) -> None:
        lines.append(f"def {head}:")
        lines.extend("    " + line for line in body)

    if "gd_step" in formulas and "rule_is_gd" in formulas:
        define("advance(w, m, v, t, h, p)", "return gd_step(w, h[0], p), m, v")
    else:
        define(
            "advance(w, m, v, t, h, p)",
            "g = grad(w, p)",
            *[f"d{i}, m{i}, v{i} = update(g[{i}], m[{i}], v[{i}], t, h)" for i in every],
            f"return {tup('w[{i}] + d{i}')}, {tup('m{i}')}, {tup('v{i}')}",
        )
    define("inverse(m, v, t, h)", f"return {tup('inverse_preconditioner(m[{i}], v[{i}], t, h)')}")
    define("square_roots(x)", f"return {tup('sqrt(x[{i}])')}")
    define("ones()", f"return {tup('1.0')}")
    define("zeros()", f"return {tup('0.0')}")
    define("load(a, j)", f"return {tup('a[j, {i}]')}")
    define("load_h(a, j)", f"return {tup('a[j, {i}]', n_h)}")
    define("load_p(a, j)", f"return {tup('a[j, {i}]', n_p)}")
    define("store(a, j, w)", *[f"a[j, {i}] = w[{i}]" for i in every])
    define("magnitude(w)", "return " + " + ".join(f"abs(w[{i}])" for i in every))
    define("hide(w)", f"return {hom_tup('0.0', 'w[{i}]')}")
    define("graft(hidden, shown)", f"return {hom_tup('shown[{i}]', 'hidden[{i}]')}")
    define("scale_hom(w, x)", f"return {hom_tup('w[{i}] * x', 'w[{i}]')}")
    define("true_value(w, e)", f"return {hom_tup('math.ldexp(w[{i}], e)', 'w[{i}]')}")
    at = max(hom, 0)
    define("largest_hom(w, m)", f"return max(abs(w[{at}]), abs(m[{at}]))")
    if not projection:
        define("project(old, new, flag, h, p)", "return new, flag")
    if "loss_osc" not in formulas:
        define("loss_osc(w, lr, p)", "return loss(w, p)")
        define("loss_conv(w, lr, p)", "return 0.0")
    if "below" not in formulas:
        define("below(w, d, tau, p)", "return sharpness(w, d, p) < tau")
    if "gfs_sharpness" not in formulas:
        define("gfs_sharpness(w, p)", "return np.nan")
    if "gd_step" in formulas and "rule_is_gd" in formulas:
        lines.extend(_block_text(n, hom, n_h, n_p))
    return "\n".join(lines) + "\n"


def _block_text(n: int, hom: int, n_h: int, n_p: int) -> list[str]:
    """Blocks of lanes: one array per component, so that the loop over lanes is a vector loop."""
    every = range(n)
    hp = n_h + n_p
    h = "(" + "".join(f"hp[{i}, j]," for i in range(n_h)) + ")"
    p = "(" + "".join(f"hp[{n_h + i}, j]," for i in range(n_p)) + ")"
    state = "".join(f"w{i}, " for i in every)
    shown = "".join(f"w{i} * alive, " if i == hom else f"w{i}, " for i in every)

    def one_step() -> list[str]:
        if hom < 0:
            return [f"{state[:-2]} = gd_step(({state}), h[0], p)"]
        targets = ", ".join("_" if i == hom else f"n{i}" for i in every)
        only = ", ".join(f"n{i}" if i == hom else "_" for i in every)
        return [
            f"{targets} = gd_step(({shown}), h[0], p)",
            f"{only} = gd_step(({state}), h[0], p)",
            ", ".join(f"w{i}" for i in every) + " = " + ", ".join(f"n{i}" for i in every),
        ]

    def block(name: str, steps: int) -> list[str]:
        body = [
            f"def {name}(x, hp, live):",
            "    for j in range(BLOCK):",
            f"        h, p, alive = {h}, {p}, live[j]",
        ]
        body += [f"        w{i} = x[{i}, j]" for i in every]
        for _ in range(steps):
            body += ["        " + line for line in one_step()]
        return body + [f"        x[{i}, j] = w{i}" for i in every]

    return [
        "def block_arrays():",
        f"    return np.zeros(({n}, BLOCK)), np.zeros(({hp}, BLOCK))",
        "def load_block(x, hp, w0, h, p, start, size):",
        "    for j in range(size):",
        *[f"        x[{i}, j] = w0[start + j, {i}]" for i in every],
        *[f"        hp[{i}, j] = h[start + j, {i}]" for i in range(n_h)],
        *[f"        hp[{n_h + i}, j] = p[start + j, {i}]" for i in range(n_p)],
        "def store_block(out, row, x, j):",
        *[f"    out[row, {i}] = x[{i}, j]" for i in every],
        "def block_magnitude(x, j):",
        "    return " + " + ".join(f"abs(x[{i}, j])" for i in every),
        *block("visit_block", 8),
        *block("single_block", 1),
    ]


def lane_slots_for(n: int, watch: int, phases: bool) -> str:
    """The operations of the classified lanes that depend on the number of parameters."""
    every = range(n)
    lines = [f"WATCH = {watch}", f"PHASES = {phases}"]

    def define(head: str, *body: str) -> None:
        lines.append(f"def {head}:")
        lines.extend("    " + line for line in body)

    define("watched(w)", f"return abs(w[{max(watch, 0)}])")
    define("largest(w)", *_maximum([f"abs(w[{i}])" for i in every]))
    define("largest_gap(a, b)", *_maximum([f"abs(a[{i}] - b[{i}])" for i in every]))
    if phases:
        define("phase_at(w, lr, p, t, t1, t2)", "return phase_step(w, lr, p, t, t1, t2)")
        define("settles(w, lr, p, t2)", "return t2 >= 0 and absorbing(w, lr, p)")
    else:
        define("phase_at(w, lr, p, t, t1, t2)", "return 0, t1, t2")
        define("settles(w, lr, p, t2)", "return False")
    return "\n".join(lines) + "\n"


def tangent_text(n: int) -> str:
    """The linearised update of a rule that is linear in gradient and memory."""
    every = range(n)

    def tup(template: str) -> str:
        return "(" + ", ".join(template.format(i=i) for i in every) + ",)"

    product = "(" + ", ".join(" + ".join(f"rows[{i}][{k}] * u[{k}]" for k in every) for i in every) + ",)"
    lines = ["def tangent_step(w, u, m, t, h, p):", "    rows = hessian(w, p)", f"    g = {product}"]
    lines += [f"    d{i}, m{i}, _ = update(g[{i}], m[{i}], 0.0, t, h)" for i in every]
    lines += [f"    return {tup('u[{i}] + d{i}')}, {tup('m{i}')}"]
    # a direction that no symmetry of a model singles out
    lines += [
        "def tangent_start():",
        "    return (" + ", ".join(f"{1.0 / (1.0 + 0.61803 * i):.5f}" for i in every) + ",)",
    ]
    lines += ["def squares(u):", "    return " + " + ".join(f"u[{i}] * u[{i}]" for i in every)]
    lines += ["def times(u, x):", f"    return {tup('u[{i}] * x')}"]
    return "\n".join(lines) + "\n"


def _maximum(terms: list[str]) -> list[str]:
    return [f"x = {terms[0]}", *[f"x = max(x, {term})" for term in terms[1:]], "return x"]


#: Lanes in a classified block: two arrays of state, bits and path stay in the first-level cache.
LANES = 128


def lane_block_text(n: int, hom: int, n_h: int, n_p: int, phases: bool, poles: bool) -> str:
    """Blocks of classified lanes. All rows of a block lie in one array at constant distances, addressed by
    unsigned indices: so the compiler knows that they do not overlap, needs no check, and takes the loop over
    lanes into vector registers."""
    every, others = range(n), [i for i in range(n) if i != hom]
    names = [f"w{i}" for i in every] + [f"h{i}" for i in range(n_h)] + [f"p{i}" for i in range(n_p)]
    row = {name: k for k, name in enumerate(names)}
    kept = "ALIVE LEAST LEAST_NOW TAU TOP TOP_TAU EXPECTED EDGE_WANTED BEYOND_WANTED DUE LOOK"
    for name in (*kept.split(), "ABOVE", "RECORDS", "EDGE_BITS", "BEYOND_BITS"):
        row[name] = len(row)
    lines = [f"LANES = {LANES}", f"BLOCK_ROWS = {len(row)}", f"PATH_ROWS = {n}", f"MANY = np.uint64({LANES})"]
    for name, k in row.items():
        lines.append(f"AT_{name.upper()} = np.uint64({k * LANES})")
        if name.isupper():
            lines.append(f"{name} = {k * LANES}")
    lines += [f"ON_W{i} = np.uint64({i * LANES})" for i in every]

    def define(head: str, *body: str) -> None:
        lines.append(f"def {head}:")
        lines.extend("    " + line for line in body)

    def tup(parts: list[str]) -> str:
        return "(" + "".join(f"{part}, " for part in parts) + ")"

    state = tup([f"w{i}" for i in every])
    h, p = tup([f"a[j + AT_H{i}]" for i in range(n_h)]), tup([f"a[j + AT_P{i}]" for i in range(n_p)])
    body = [
        "o = np.uint64(offset)",
        "for j in range(MANY):",
        f"    h, p = {h}, {p}",
        *[f"    w{i} = a[j + AT_W{i}]" for i in every],
        *[f"    path[o + j + ON_W{i}] = w{i}" for i in every],
    ]
    if hom >= 0:
        body += [
            "    alive = a[j + AT_ALIVE]",
            f"    size = abs(w{hom})",
            "    least = a[j + AT_LEAST_NOW]",
            "    a[j + AT_LEAST_NOW] = size if size < least else least",
            f"    shown = {tup([f'w{i} * alive' if i == hom else f'w{i}' for i in every])}",
        ]
    else:
        body += [f"    shown = {state}"]
    body += [
        "    a[j + AT_ABOVE] += 0.0 if below(shown, ones(), a[j + AT_TAU], p) else bit",
        "    top_tau, top = a[j + AT_TOP_TAU], a[j + AT_TOP]",
        "    record = 0.0 if below(shown, ones(), top_tau, p) else bit",
        "    plain, s = sharpness_at_pole(shown, p)",
        "    s = s if plain and s < BIG else 0.0",
        "    a[j + AT_RECORDS] += 0.0 if s > 0.0 else record",
        "    eta, s = h[0] * s, s * (1.0 - RECORD_MARGIN)",
        "    a[j + AT_TOP] = eta if eta > top and s > 0.0 else top",
        "    a[j + AT_TOP_TAU] = s if s > top_tau and s > 0.0 else top_tau",
    ]
    if phases:
        body += [
            "    applies, edge, beyond = marks(shown, h[0], p)",
            "    a[j + AT_EDGE_BITS] += bit if applies and edge else 0.0",
            "    a[j + AT_BEYOND_BITS] += bit if applies and beyond else 0.0",
        ]
    body += [f"    {tup([f'n{i}' for i in every])} = gd_step(shown, h[0], p)"]
    if hom >= 0:
        body += [f"    {tup([f'n{i}' if i == hom else '_' for i in every])} = gd_step({state}, h[0], p)"]
    body += [f"    a[j + AT_W{i}] = n{i}" for i in every]
    define("visit_step(a, path, offset, bit)", *body)
    bits = ["ABOVE", "RECORDS", "EDGE_BITS", "BEYOND_BITS"]
    define(
        "clear_bits(a)",
        "for j in range(MANY):",
        *[f"    a[j + AT_{name}] = 0.0" for name in bits],
        "    a[j + AT_LEAST_NOW] = np.inf",
    )
    size = " + ".join(f"abs(a[j + AT_W{i}])" for i in every)
    looks = [
        "for j in range(MANY):",
        f"    safe = {size} < BIG",
        "    due = visit >= a[j + AT_DUE]",
    ]
    if hom >= 0:
        looks += [
            f"    b, hidden = abs(a[j + AT_W{hom}]), a[j + AT_ALIVE] == 0.0",
            "    safe = safe and not (hidden and b > MISSED)",
            "    now, least = a[j + AT_LEAST_NOW], a[j + AT_LEAST]",
            "    a[j + AT_LEAST] = now if safe and now < least else least",
            "    due = due or (b < LOW and b > 0.0) or (hidden and b > HIGH)",
        ]
    looks += [
        "    news = a[j + AT_ABOVE] != a[j + AT_EXPECTED] or a[j + AT_RECORDS] != 0.0",
        "    edge = a[j + AT_EDGE_BITS] * a[j + AT_EDGE_WANTED]",
        "    beyond = a[j + AT_BEYOND_BITS] * a[j + AT_BEYOND_WANTED]",
        "    a[j + AT_LOOK] = 2.0 if not safe else (1.0 if due or news or edge + beyond > 0.0 else 0.0)",
    ]
    define("mark_looks(a, visit)", *looks)
    define(
        "load_lane(a, j, w0, h, p, threshold, i)",
        *[f"a[{row[f'w{k}'] * LANES} + j] = w0[i, {k}]" for k in every],
        *[f"a[{row[f'h{k}'] * LANES} + j] = h[i, {k}]" for k in range(n_h)],
        *[f"a[{row[f'p{k}'] * LANES} + j] = p[i, {k}]" for k in range(n_p)],
        "a[ALIVE + j] = 1.0",
        "a[TAU + j] = threshold[i] / h[i, 0]",
        "a[TOP + j] = a[TOP_TAU + j] = -np.inf",
        "a[LEAST + j] = np.inf",
        "a[EXPECTED + j] = -1.0",
        "a[EDGE_WANTED + j] = a[BEYOND_WANTED + j] = 1.0",
    )
    define("idle_lane(a, j)", *[f"a[{k * LANES} + j] = 0.0" for k in range(len(row))])
    define("lane_state(a, j)", "return " + tup([f"a[{row[f'w{i}'] * LANES} + j]" for i in every]))
    define("lane_magnitude(a, j)", "return " + " + ".join(f"abs(a[{row[f'w{i}'] * LANES} + j])" for i in every))
    at = row[f"w{max(hom, 0)}"] * LANES
    define("hom_size(a, j)", f"return abs(a[{at} + j])")
    define("scale_lane(a, j, x)", f"a[{at} + j] *= x")
    define(
        "path_state(path, s, j)",
        "return " + tup([f"path[(s * PATH_ROWS + {i}) * LANES + j]" for i in every]),
    )
    if not poles:
        define("sharpness_at_pole(w, p)", "return False, 0.0")
    if hom >= 0:
        rest = ["x = 0.0", *[f"x = max(x, abs(w[{i}]))" for i in others]]
        define("unseen(w, e)", *rest, f"return e != 0 or abs(w[{hom}]) <= UNSEEN * x")
    else:
        define("unseen(w, e)", "return True")
    same = " and ".join(f"w[{i}] == best[j, k + {i}]" for i in others)
    define("measured_before(w, best, j, k)", f"return {same}")
    define(
        "remember(w, best, j, k, plain)",
        *[f"best[j, k + {i}] = w[{i}] if plain else np.nan" for i in others],
    )
    return "\n".join(lines) + "\n"
