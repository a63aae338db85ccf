/* The accumulating loop of a map in C: gradient descent on the minimalist model, blocks of lanes, classified.
 *
 * The peer of eoslab's compiled lanes: the same predicates at every step (threshold by minors, record by minors,
 * T1 and T2, least |beta1| with an exponent kept beside it), the same exact eigenvalue where a record is possible.
 * cc -O3 -mavx2 -ffp-contract=off -shared -fPIC sweep_peer.c -o sweep_peer.so -lm
 */
#include <math.h>
#include <stdint.h>

enum { L = 128, VISIT = 8 };
#define TINY_STEP 2.220446049250313e-16

static double root_of(double a, double b, double c) {
    double r = sqrt(b * b + 4.0 * a * c);
    return b > 0.0 ? 2.0 * c / (b + r) : (r - b) / (2.0 * a);
}

static double sharpness(double x, double y, double z, double l1, double l2, double b) {
    double q = l1 * (y * y) + l2 * (z * z), c1 = 2 * l1 * x * y, c2 = l2 * (2 * x * z - b);
    double m1 = l1 * (x * x), m2 = l2 * (x * x);
    if (m2 > m1) { double t = c1; c1 = c2; c2 = t; t = m1; m1 = m2; m2 = t; }
    double w1 = c1 * c1, w2 = c2 * c2, gap = m1 - m2, b0 = m1 - q, s = root_of(1.0, b0, w1 + w2);
    for (int i = 0; i < 60; i++) {
        double u = s + gap;
        if (w2 == 0.0 || u <= 0.0) break;
        double t = w2 / u, slope = 1.0 + t / u, next = root_of(slope, s + b0 - t - slope * s, w1);
        double moved = fabs(next - s);
        s = next;
        if (moved <= TINY_STEP * (fabs(m1) + s)) break;
    }
    return m1 + s;
}

typedef struct {
    double x[L], y[L], z[L], lr[L], l1[L], l2[L], b[L], alive[L], least[L], top[L], toptau[L], tau[L];
    double above[L], rec[L], edge[L], beyond[L], px[VISIT][L], py[VISIT][L], pz[VISIT][L];
} block;

/* four lanes at a time, written out: the compiler does not take this loop into vector registers by itself */
typedef double v4 __attribute__((vector_size(32), aligned(8)));
typedef int64_t m4 __attribute__((vector_size(32), aligned(8)));
#define AT(row) (*(v4 *)&B->row[j])
#define WHERE(mask, a, b) ((v4)(((mask) & (m4)(a)) | (~(mask) & (m4)(b))))

static void step(block *B, int s, double one) {
    const v4 zero = {0}, bit = zero + one;
    for (int j = 0; j < L; j += 4) {
        v4 x = AT(x), y = AT(y), z = AT(z), lr = AT(lr), l1 = AT(l1), l2 = AT(l2), b = AT(b);
        AT(px[s]) = x; AT(py[s]) = y; AT(pz[s]) = z;
        v4 v = y * AT(alive), size = (v4)((m4)y & INT64_MAX);
        AT(least) = WHERE(size < AT(least), size, AT(least));
        v4 q = l1 * (v * v) + l2 * (z * z), c1 = 2 * l1 * x * v, c2 = l2 * (2 * x * z - b), a2 = x * x;
        v4 m1 = l1 * a2, m2 = l2 * a2, e1 = c1 * c1, e2 = c2 * c2;
        v4 t = AT(tau), d1 = t - m1, d2 = t - m2;
        AT(above) += WHERE((d1 > 0.0) & (d2 > 0.0) & ((t - q) * d1 * d2 > e1 * d2 + e2 * d1), zero, bit);
        t = AT(toptau); d1 = t - m1; d2 = t - m2;
        v4 rec = WHERE((d1 > 0.0) & (d2 > 0.0) & ((t - q) * d1 * d2 > e1 * d2 + e2 * d1), zero, bit);
        v4 gap = m1 - m2, d = (m1 - q) * gap - e2;
        m4 plain = (gap > 0.0) & (d > 1e-6 * m1 * gap) & (e1 * gap <= 1e-18 * m1 * d) & (m1 < 1e75) & (m1 > 0.0);
        v4 eta = lr * m1, near = m1 * (1.0 - 1e-12);
        AT(rec) += WHERE(plain, zero, rec);
        AT(top) = WHERE(plain & (eta > AT(top)), eta, AT(top));
        AT(toptau) = WHERE(plain & (near > t), near, t);
        v4 r = x * z / b - 1, h1 = lr * l1, h = lr * l2;
        m4 on = (r > -1.0) & (r <= 1e-9);
        AT(edge) += WHERE(on & (h1 * a2 >= 1.9999999999999982), bit, zero);
        AT(beyond) += WHERE(on & (2 * (z * z) >= h1 * (b * b)), bit, zero);
        AT(x) = x * (1 - h1 * (v * v) - h * (z * z)) + h * b * z;
        AT(y) = y * (1 - h1 * a2);
        AT(z) = z * (1 - h * a2) + h * b * x;
    }
}

/* t1, t2, ups and top for n cells; returns the number of steps made */
int64_t map(const double *lr, const double *ratio, int64_t n, const double *w0, int64_t steps,
            int32_t *t1, int32_t *t2, int32_t *ups, double *top, double *least2) {
    block B;
    static _Thread_local int64_t cell[L], t[L], e[L];
    static _Thread_local int was[L];
    int64_t next = 0, active = 0, made = 0;
    for (int j = 0; j < L; j++) { cell[j] = -1; B.x[j] = B.y[j] = B.z[j] = 0; }
#define LOAD(j) do { \
        cell[j] = next; t[j] = 0; e[j] = 0; was[j] = -1; B.x[j] = w0[0]; B.y[j] = w0[1]; B.z[j] = w0[2]; \
        B.lr[j] = lr[next]; B.l1[j] = 1; B.l2[j] = ratio[next]; B.b[j] = 1; B.alive[j] = 1; B.least[j] = INFINITY; \
        B.top[j] = B.toptau[j] = -INFINITY; B.tau[j] = 2.0 / lr[next]; t1[next] = t2[next] = -1; ups[next] = 0; \
        least2[next] = INFINITY; next++; } while (0)
    for (int j = 0; j < L && next < n; j++) { LOAD(j); active++; }
    while (active > 0) {
        for (int j = 0; j < L; j++) B.above[j] = B.rec[j] = B.edge[j] = B.beyond[j] = 0.0;
        for (int s = 0; s < VISIT; s++) step(&B, s, (double)(1 << s));
        for (int j = 0; j < L; j++) {
            int64_t i = cell[j];
            if (i < 0) continue;
            int gone = !(fabs(B.x[j]) + fabs(B.y[j]) + fabs(B.z[j]) < 1e75);
            int bits = (int)B.above[j];
            if (!gone) {
                if (bits != (was[j] == 1 ? 255 : 0) || was[j] < 0)
                    for (int s = 0; s < VISIT; s++) {
                        int now = (bits >> s) & 1;
                        ups[i] += now && was[j] != 1;
                        was[j] = now;
                    }
                if (t1[i] < 0 && B.edge[j] > 0) t1[i] = t[j] + __builtin_ctz((int)B.edge[j]);
                if (t2[i] < 0 && B.beyond[j] > 0) t2[i] = t[j] + __builtin_ctz((int)B.beyond[j]);
                int rec = (int)B.rec[j];
                for (int s = VISIT - 1; rec && s >= 0; s--)
                    if ((rec >> s) & 1) {
                        double y = e[j] == 0 ? B.py[s][j] : ldexp(B.py[s][j], (int)e[j]);
                        double eta = B.lr[j] * sharpness(B.px[s][j], y, B.pz[s][j], B.l1[j], B.l2[j], B.b[j]);
                        if (eta > B.top[j]) B.top[j] = eta;
                    }
                if (rec) B.toptau[j] = B.top[j] / B.lr[j] * (1.0 - 1e-12);
                double size = fabs(B.y[j]);
                if (size < 0x1p-400 && size > 0) { B.y[j] *= 0x1p512; e[j] -= 512; B.least[j] = INFINITY; }
                else if (e[j] < 0 && size > 0x1p112) { B.y[j] *= 0x1p-512; e[j] += 512; B.least[j] = INFINITY; }
                B.alive[j] = e[j] == 0;
            }
            t[j] += VISIT;
            made += VISIT;
            if (gone || t[j] >= steps) {
                top[i] = gone ? NAN : B.top[j];
                least2[i] = B.least[j];
                if (next < n) LOAD(j);
                else { cell[j] = -1; active--; B.x[j] = B.y[j] = B.z[j] = 0; }
            }
        }
    }
    return made;
}
