"""How often ``top_eigenpairs`` stops too early, and what a looser rule would save.

    OMP_NUM_THREADS=1 python benchmarks/curvature_stopping.py [starts]

Spectra are prescribed, so the truth is known: the leading eigenvalues of a net at the edge of stability or a close
pair, a decaying bulk, and 20 000 directions of no curvature in which a random start mostly lies. The rule's one
constant is the largest gap it believes, as a share of the eigenvalue (1 %). A stop counts as false if the true
error exceeds the tolerance. The last column group needs no rule: the products of an oracle that knows the truth.
"""

from __future__ import annotations

import sys

import numpy as np

from eoslab.curvature import FunctionOperator, lanczos, top_eigenpairs

FLAT, GAPS = 20_000, (0.01, 0.02, 0.05)
EDGE = np.array([10.54, 9.819, 9.349, 9.204, 8.667, 8.361, 8.046, 6.784, 6.518, 4.403])  # digits, 200 steps
TAIL = np.array([0.93, 0.9, 0.85, 0.8])
SPECTRA = {"edge": EDGE} | {f"pair {d:g} apart": np.r_[1, 1 - d, TAIL] for d in (1e-2, 3e-3, 1e-3, 3e-4)}


def main() -> None:
    starts = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    print("| spectrum | k | tol | " + " | ".join(f"gap ≤ {g:.0%}: HVP, false" for g in GAPS) + " | oracle |")
    print("|---" * (len(GAPS) + 4) + "|")
    for name, top in SPECTRA.items():
        spectrum = np.r_[top, 0.3 * top[-1] / np.arange(1, 301) ** 1.2, np.zeros(FLAT)]
        op = FunctionOperator(lambda v, d=spectrum: d * v, len(spectrum))
        for k, tol in ((1, 1e-2), (1, 1e-3), (1, 1e-6), (5, 1e-3), (5, 1e-6)):
            cells = []
            for gap in GAPS:
                lanczos.GAP = gap
                found = [top_eigenpairs(op, k, tol, seed=s) for s in range(starts)]
                false = sum(float(np.abs(r.values / top[:k] - 1).max()) > tol for r in found)
                cells.append(f"{np.mean([r.matvecs for r in found]):.1f}, {false}/{starts}")
            first = []
            for s in range(starts):
                m = k
                while (
                    np.abs(top_eigenpairs(op, k, 1e-14, seed=s, max_products=m).values / top[:k] - 1).max() > tol
                ):
                    m += 1
                first.append(m)
            print(f"| {name} | {k} | {tol:g} | " + " | ".join(cells) + f" | {np.mean(first):.1f} |", flush=True)


if __name__ == "__main__":
    main()
