/* Black-76 with AVX-512 intrinsics: the limit that the kernels of flatbook are measured against.
 *
 * The same mathematics as src/flatbook/kernels/black.py, eight options a register, by hand: powers of two through
 * vgetexp and vscalef, masks instead of selects. Rows outside the
 * domain get NaN here too. n is any number; the last group is masked.
 *
 *   gcc -O3 -march=native -mprefer-vector-width=512 -ffp-contract=fast -fPIC -shared black_avx512.c -o black_avx512.so
 */
#include <immintrin.h>
#include <math.h>
#include <stdint.h>

typedef __m512d vec;

#define SET(c) _mm512_set1_pd(c)
#define FMA(a, b, c) _mm512_fmadd_pd(a, b, c)
#define FNMA(a, b, c) _mm512_fnmadd_pd(a, b, c)
#define FMS(a, b, c) _mm512_fmsub_pd(a, b, c)
#define ADD(a, b) _mm512_add_pd(a, b)
#define SUB(a, b) _mm512_sub_pd(a, b)
#define MUL(a, b) _mm512_mul_pd(a, b)
#define DIV(a, b) _mm512_div_pd(a, b)
#define PAIR(table, i, x) FMA(SET(table[i + 1]), x, SET(table[i]))
#define PICK(mask, otherwise, when) _mm512_mask_blend_pd(mask, otherwise, when)

static const double EXP[10] = {
    0.50000000000000127231, 0.16666666666666699219,    0.041666666666515543486,    0.008333333333307124301,
    0.0013888888946992098284, 0.00019841269917526019394, 0.000024801489958980627963, 2.7557216195626160054e-6,
    2.7631276583518611062e-7, 2.5117889117033942681e-8};
static const double LOG[8] = {0.6666666666666659449, 0.40000000000057960938, 0.28571428555528539988,
                              0.22222224329516759276, 0.1818166393569378364, 0.1539117426545212179,
                              0.13172566006933084107, 0.13849953170818821385};
static const double P[10] = {
    1.2533141373155003, 1.9378605728301295, 1.4824573897499809, 0.7204505973569858, 0.24270145806496862,
    0.058528692338670876, 0.01010188729174905, 0.001207272031325283, 9.132140517771462e-05,
    3.378008183805254e-06};
static const double Q[11] = {
    1.0, 2.344073592852625, 2.553129992452443, 1.7058641349932728, 0.7765987825708552, 0.2526206901646311,
    0.05972920880472968, 0.010193208685035555, 0.0012106500397211972, 9.132140517544233e-05,
    3.3780081838162156e-06};

static inline vec exp_negative(vec y) {
    y = _mm512_max_pd(y, SET(-708.0));
    vec n = _mm512_roundscale_pd(MUL(y, SET(1.4426950408889634)), 8);
    vec r = FNMA(n, SET(0.6931471803691238), y);
    r = FNMA(n, SET(1.9082149292705877e-10), r);
    vec r2 = MUL(r, r), r4 = MUL(r2, r2);
    vec low = FMA(PAIR(EXP, 2, r), r2, PAIR(EXP, 0, r)), middle = FMA(PAIR(EXP, 6, r), r2, PAIR(EXP, 4, r));
    vec p = FMA(FMA(PAIR(EXP, 8, r), r4, middle), r4, low);
    p = ADD(SET(1.0), FMA(r2, p, r));
    return _mm512_scalef_pd(p, n);
}

static inline vec log_ratio(vec over, vec under) {
    __m512i gap = _mm512_sub_epi64(_mm512_castpd_si512(over), _mm512_castpd_si512(under));
    __m512i octaves = _mm512_srai_epi64(_mm512_add_epi64(gap, _mm512_set1_epi64(1LL << 51)), 52);
    vec n = _mm512_cvtepi64_pd(octaves);
    vec level = _mm512_castsi512_pd(_mm512_add_epi64(_mm512_castpd_si512(under), _mm512_slli_epi64(octaves, 52)));
    vec z = DIV(SUB(over, level), ADD(over, level));
    vec u = MUL(z, z);
    vec u2 = MUL(u, u);
    vec low = FMA(PAIR(LOG, 2, u), u2, PAIR(LOG, 0, u)), high = FMA(PAIR(LOG, 6, u), u2, PAIR(LOG, 4, u));
    vec q = FMA(high, MUL(u2, u2), low);
    vec tail = FMA(MUL(z, u), q, ADD(z, z));
    return FMA(n, SET(0.6931471803691238), FMA(n, SET(1.9082149292705877e-10), tail));
}

typedef struct {
    vec price, delta, density, per_unit, root, per_forward_v, per_forward, per_v, d1, d2;
} terms;

static inline terms evaluate(vec f, vec k, vec vol, vec years, vec sign) {
    const vec zero = _mm512_setzero_pd(), one = SET(1.0), half = SET(0.5);
    vec least = FMA(zero, ADD(f, k), _mm512_min_pd(f, k)), low = FMA(zero, ADD(vol, years), _mm512_min_pd(vol, years));
    __mmask8 good = _mm512_cmp_pd_mask(least, zero, _CMP_GT_OQ) & _mm512_cmp_pd_mask(low, zero, _CMP_GE_OQ) &
                    _mm512_cmp_pd_mask(MUL(sign, sign), one, _CMP_EQ_OQ);
    terms t;
    t.root = _mm512_sqrt_pd(years);
    vec v = MUL(vol, t.root);
    __mmask8 live = _mm512_cmp_pd_mask(v, zero, _CMP_GT_OQ);
    vec divisor = PICK(live, one, v);
    t.per_forward_v = DIV(one, MUL(f, divisor));
    t.per_forward = MUL(divisor, t.per_forward_v);
    t.per_v = MUL(f, t.per_forward_v);
    vec centre = _mm512_min_pd(MUL(_mm512_abs_pd(log_ratio(f, k)), t.per_v), SET(1e3));
    vec half_v = _mm512_min_pd(MUL(half, v), SET(1e3));
    vec near = SUB(centre, half_v), far = ADD(centre, half_v);
    __mmask8 wide = _mm512_cmp_pd_mask(near, SET(-0.05), _CMP_LT_OQ);
    vec x = _mm512_mask_sub_pd(near, wide, zero, near);

    vec p = FMA(SET(P[9]), x, SET(P[8])), dp = SET(P[9]);
    for (int i = 7; i >= 0; --i) {
        dp = FMA(dp, far, p);
        p = FMA(p, x, SET(P[i]));
    }
    vec q = FMA(SET(Q[10]), x, SET(Q[9])), dq = SET(Q[10]);
    for (int i = 8; i >= 0; --i) {
        dq = FMA(dq, far, q);
        q = FMA(q, x, SET(Q[i]));
    }
    vec gap = PICK(wide, ADD(half_v, half_v), SUB(far, x));
    vec p_far = FMA(gap, dp, p), q_far = FMA(gap, dq, q);
    vec per_q = DIV(one, MUL(q, q_far));
    vec bound = _mm512_min_pd(f, k);
    vec density = _mm512_maskz_mul_pd(live, MUL(bound, SET(0.3989422804014327)),
                                      exp_negative(MUL(MUL(SET(-0.5), x), x)));
    density = PICK(good, SET(NAN), density);
    t.density = density;
    t.per_unit = MUL(density, t.per_forward);
    __mmask8 lower = _mm512_cmp_pd_mask(f, k, _CMP_LE_OQ), equal = _mm512_cmp_pd_mask(f, k, _CMP_EQ_OQ);
    vec near_part = MUL(p, q_far), far_part = MUL(p_far, q);
    vec tail = MUL(MUL(t.per_unit, per_q), PICK(lower, far_part, near_part));
    tail = _mm512_mask_add_pd(tail, (__mmask8)(equal & _mm512_cmp_pd_mask(v, zero, _CMP_EQ_OQ)), tail, half);
    vec scale = MUL(density, per_q);
    vec difference = MUL(MUL(scale, gap), FNMA(dp, q, MUL(p, dq)));
    vec out_of_money = _mm512_mask3_fnmadd_pd(scale, ADD(near_part, far_part), bound, wide);
    out_of_money = PICK(wide, difference, out_of_money);
    vec intrinsic = MUL(sign, SUB(f, k));
    t.price = ADD(out_of_money, _mm512_max_pd(intrinsic, zero));
    t.price = ADD(t.price, MUL(zero, density));
    vec side = PICK((__mmask8)(lower & ~wide), SET(-1.0), one);
    t.delta = FMA(side, tail, MUL(half, SUB(sign, side)));
    t.d1 = PICK(lower, far, SUB(zero, near));
    t.d2 = PICK(lower, near, SUB(zero, far));
    return t;
}

#define LOAD(column) _mm512_maskz_loadu_pd(mask, column + i)
#define STORE(column, value) _mm512_mask_storeu_pd(column + i, mask, value)

void price_greeks(const double *forward, const double *strike, const double *vol, const double *years,
                  const double *sign, double *price, double *delta, double *gamma, double *vega, double *theta,
                  int64_t n) {
    for (int64_t i = 0; i < n; i += 8) {
        __mmask8 mask = n - i >= 8 ? 0xff : (__mmask8)((1u << (n - i)) - 1);
        vec sigma = LOAD(vol);
        terms t = evaluate(LOAD(forward), LOAD(strike), sigma, LOAD(years), LOAD(sign));
        STORE(price, t.price);
        STORE(delta, t.delta);
        STORE(gamma, MUL(t.per_unit, t.per_forward_v));
        STORE(vega, MUL(t.density, t.root));
        STORE(theta, MUL(MUL(MUL(SET(-0.5), t.density), sigma), MUL(sigma, t.per_v)));
    }
}

void price_full(const double *forward, const double *strike, const double *vol, const double *years,
                const double *sign, double *out, int64_t stride, int64_t n) {
    for (int64_t i = 0; i < n; i += 8) {
        __mmask8 mask = n - i >= 8 ? 0xff : (__mmask8)((1u << (n - i)) - 1);
        vec sigma = LOAD(vol);
        terms t = evaluate(LOAD(forward), LOAD(strike), sigma, LOAD(years), LOAD(sign));
        vec gamma = MUL(t.per_unit, t.per_forward_v), vega = MUL(t.density, t.root);
        vec per_root = MUL(sigma, t.per_v), per_vol = MUL(t.root, t.per_v);
        vec per_two_years = MUL(SET(0.5), MUL(per_root, per_root));
        vec product = MUL(t.d1, t.d2), one = SET(1.0), zero = _mm512_setzero_pd();
        STORE(out, t.price);
        STORE((out + stride), t.delta);
        STORE((out + 2 * stride), gamma);
        STORE((out + 3 * stride), vega);
        STORE((out + 4 * stride), MUL(MUL(MUL(SET(-0.5), t.density), sigma), per_root));
        STORE((out + 5 * stride), MUL(SUB(zero, MUL(t.per_unit, t.d2)), per_vol));
        STORE((out + 6 * stride), MUL(MUL(vega, product), per_vol));
        STORE((out + 7 * stride), MUL(MUL(t.per_unit, t.d2), per_two_years));
        STORE((out + 8 * stride), MUL(SUB(zero, MUL(gamma, t.per_forward)), FMA(t.d1, t.per_v, one)));
        STORE((out + 9 * stride), MUL(MUL(gamma, SUB(product, one)), per_vol));
        STORE((out + 10 * stride), MUL(MUL(gamma, SUB(one, product)), per_two_years));
    }
}

/* A book on the smile of every scenario, as src/flatbook/kernels/stress.py: a strike keeps its place on its slice, so
 * `cells` holds six rows an expiry of what depends on expiry and scenario, `scenarios` columns, a multiple of 8; what
 * depends on the option alone is out of the inner loop. */
static const double LOW_P[5] = {1.2533141373183285, 0.93190395486936952, 0.34619244028891386, 0.066015383736344133,
                                0.0055040517162477241};
static const double LOW_Q[6] = {1.0, 1.5414363388824174, 1.0061098513268428, 0.35067559751572218, 0.066097718485404625,
                                0.0055008092540503681};

static inline vec low_p(vec x) {
    return FMA(FMA(FMA(PAIR(LOW_P, 3, x), x, SET(LOW_P[2])), x, SET(LOW_P[1])), x, SET(LOW_P[0]));
}

static inline vec low_q(vec x) {
    vec high = FMA(FMA(PAIR(LOW_Q, 4, x), x, SET(LOW_Q[3])), x, SET(LOW_Q[2]));
    return FMA(FMA(high, x, SET(LOW_Q[1])), x, SET(LOW_Q[0]));
}

void stress_totals(const int64_t *first, int64_t expiries, const double *base, const double *strike, const double *sign,
                   const double *held, const double *cells, double *total, int64_t scenarios) {
    const vec zero = _mm512_setzero_pd(), half = SET(0.5);
    for (int64_t i = 0; i < scenarios; ++i) total[i] = 0.0;
    for (int64_t r = 0; r < expiries; ++r, base += 3) {
        const double *forward = cells + 6 * r * scenarios, *log_move = forward + scenarios;
        const double *a = log_move + scenarios, *b = a + scenarios, *slope = b + scenarios, *scale = slope + scenarios;
        for (int64_t option = first[r]; option < first[r + 1]; ++option) {
            double log_moneyness = log(strike[option] / base[0]), place = log_moneyness - base[1];
            vec k0 = SET(log_moneyness), y = SET(place), radius = SET(sqrt(place * place + base[2] * base[2]));
            vec struck = SET(strike[option]), side = SET(sign[option]), size = SET(held[option]);
            for (int64_t i = 0; i < scenarios; i += 8) {
                vec f = _mm512_loadu_pd(forward + i), k = SUB(k0, _mm512_loadu_pd(log_move + i));
                vec w = FMA(_mm512_loadu_pd(b + i), radius, FMA(_mm512_loadu_pd(slope + i), y, _mm512_loadu_pd(a + i)));
                vec v = _mm512_sqrt_pd(_mm512_max_pd(SET(1e-30), w));
                vec centre = _mm512_min_pd(DIV(_mm512_abs_pd(k), v), SET(1e3));
                vec half_v = _mm512_min_pd(MUL(half, v), SET(1e3));
                vec near = SUB(centre, half_v), far = ADD(centre, half_v);
                __mmask8 wide = _mm512_cmp_pd_mask(near, zero, _CMP_LT_OQ);
                vec x = _mm512_abs_pd(near), p = low_p(x), q = low_q(x), p_far = low_p(far), q_far = low_q(far);
                vec bound = _mm512_min_pd(f, struck);
                vec density = MUL(MUL(bound, SET(0.3989422804014327)), exp_negative(MUL(MUL(SET(-0.5), x), x)));
                density = DIV(density, MUL(q, q_far));
                vec here = MUL(p, q_far);
                vec tail = MUL(density, SUB(_mm512_mask_sub_pd(here, wide, zero, here), MUL(p_far, q)));
                vec price = _mm512_mask_add_pd(tail, wide, tail, bound);
                price = ADD(price, _mm512_max_pd(MUL(side, SUB(f, struck)), zero));
                vec worth = MUL(price, _mm512_loadu_pd(scale + i));
                _mm512_storeu_pd(total + i, FMA(size, worth, _mm512_loadu_pd(total + i)));
            }
        }
    }
}
