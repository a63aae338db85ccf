/* The same loops in C, as peers of the compiled kernels: a stored trajectory and lanes without storage. */
#include <stdint.h>

/* θ of steps 0..steps in out (steps + 1 rows of 3) */
void trajectory(double alpha, double beta1, double beta2, double lambda1, double lambda2, double b, double lr,
                int64_t steps, double *out) {
  double h1 = lr * lambda1, h = lr * lambda2, hb = h * b;
  out[0] = alpha, out[1] = beta1, out[2] = beta2;
  for (int64_t t = 1; t <= steps; t++) {
    double a2 = alpha * alpha;
    double na = alpha * (1 - h1 * beta1 * beta1 - h * beta2 * beta2) + hb * beta2;
    double nb1 = beta1 * (1 - h1 * a2);
    double nb2 = beta2 * (1 - h * a2) + hb * alpha;
    alpha = na, beta1 = nb1, beta2 = nb2;
    out[3 * t] = alpha, out[3 * t + 1] = beta1, out[3 * t + 2] = beta2;
  }
}

/* final states of n lanes, each with its own parameters; blocks of lanes so that AVX2 registers are full */
#define BLOCK 128
void lanes(int64_t n, int64_t steps, const double *w0, const double *h1s, const double *hs, double *out) {
  for (int64_t start = 0; start + BLOCK <= n; start += BLOCK) {
    double a[BLOCK], b1[BLOCK], b2[BLOCK], h1[BLOCK], h[BLOCK];
    for (int j = 0; j < BLOCK; j++) {
      a[j] = w0[3 * (start + j)], b1[j] = w0[3 * (start + j) + 1], b2[j] = w0[3 * (start + j) + 2];
      h1[j] = h1s[start + j], h[j] = hs[start + j];
    }
    for (int64_t t = 0; t < steps; t += 8)
      for (int j = 0; j < BLOCK; j++) {
        double x = a[j], y = b1[j], z = b2[j];
        for (int k = 0; k < 8; k++) {
          double x2 = x * x;
          double nx = x * (1 - h1[j] * y * y - h[j] * z * z) + h[j] * z;
          y = y * (1 - h1[j] * x2);
          z = z * (1 - h[j] * x2) + h[j] * x;
          x = nx;
        }
        a[j] = x, b1[j] = y, b2[j] = z;
      }
    for (int j = 0; j < BLOCK; j++)
      out[3 * (start + j)] = a[j], out[3 * (start + j) + 1] = b1[j], out[3 * (start + j) + 2] = b2[j];
  }
}
