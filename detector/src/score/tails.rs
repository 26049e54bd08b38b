//! Tails: chances of at least, or at most, so much, in bans (−log10).

/// −log10 of the chance that a standard normal value is at most z, for z below 0; 0 above.
///
/// Source: Abramowitz & Stegun 26.2.17, off by less than 7.5 · 10⁻⁸. At four bans, as many as count, that is less than
/// a thousandth of the chance.
pub(super) fn normal_lower_tail_bans(z: f64) -> f64 {
    if z >= 0.0 {
        return 0.0;
    }
    let density = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let t = 1.0 / (1.0 + 0.231_641_9 * -z);
    let series =
        t * (0.319_381_53 + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    -(density * series).max(1e-30).log10()
}

/// −log10 of the chance of at least `k` successes in `n` tries.
pub(super) fn binomial_tail_bans(n: usize, k: usize, chance: f64) -> f64 {
    let (n, k) = (n as i32, k as i32);
    let mut term = 1.0;
    let mut tail = 0.0;
    for i in 0..=n {
        if i > 0 {
            term *= f64::from(n - i + 1) / f64::from(i);
        }
        if i >= k {
            tail += term * chance.powi(i) * (1.0 - chance).powi(n - i);
        }
    }
    -tail.clamp(1e-12, 1.0).log10()
}

/// −log10 of the chance of at least `k` where `expected` are expected.
pub(super) fn poisson_tail_bans(k: usize, expected: f64) -> f64 {
    let mut term = (-expected).exp();
    let mut below = 0.0;
    for i in 0..k {
        below += term;
        term *= expected / (i as f64 + 1.0);
    }
    // Where the sum below is all but one, the first term of the tail is the tail.
    let tail = if 1.0 - below > 1e-9 { 1.0 - below } else { term };
    -tail.max(1e-30).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_tails() {
        assert!((normal_lower_tail_bans(-1.6449) - 1.301).abs() < 0.01);
        assert!((normal_lower_tail_bans(-3.0902) - 3.0).abs() < 0.02);
        assert!(normal_lower_tail_bans(0.5).abs() < 1e-9);
    }

    #[test]
    fn binomial_tails() {
        assert!((binomial_tail_bans(1, 1, 0.1) - 1.0).abs() < 1e-9);
        assert!(binomial_tail_bans(5, 0, 0.3).abs() < 1e-9);
    }

    #[test]
    fn poisson_tails() {
        assert!(poisson_tail_bans(0, 2.0).abs() < 1e-9);
        assert!((poisson_tail_bans(1, 0.01) - 2.0).abs() < 0.01);
        assert!(poisson_tail_bans(3, 0.001) > 9.0);
        assert!(poisson_tail_bans(3, 3.0) < 0.4);
    }
}
