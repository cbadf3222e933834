// Peter Jaeckel's "Let's be rational" over columns, as fast as a plain loop calls it.
#include <stdint.h>

extern "C" double implied_volatility_from_a_transformed_rational_guess(double price, double F, double K, double T,
                                                                       double q);

extern "C" void implied_vols(const double *price, const double *forward, const double *strike, const double *years,
                             const double *sign, double *vol, int64_t n) {
    for (int64_t i = 0; i < n; ++i)
        vol[i] = implied_volatility_from_a_transformed_rational_guess(price[i], forward[i], strike[i], years[i],
                                                                      sign[i]);
}
