//! Seeded chance: every random choice of a drill, and of the traffic generator, is a throw of named dice.
//!
//! Takes a seed, gives numbers. Dice made by [`Dice::fork`] depend on the seed and the labels alone, never on how many
//! throws were made before, so one function's day can be generated without the others.

use rand::{Rng as _, SeedableRng as _};
use rand_pcg::Pcg64;

/// A stream of random numbers with a name.
#[derive(Clone, Debug)]
pub struct Dice {
    key: u64,
    rng: Pcg64,
}

/// Mixes two words into one (the finaliser of `SplitMix64`, Steele et al. 2014).
pub fn mix(a: u64, b: u64) -> u64 {
    let mut z = a.wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_add(b.wrapping_mul(0xbf58_476d_1ce4_e5b9));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Dice {
    /// The dice of a number.
    pub fn new(key: u64) -> Self {
        Self { key, rng: Pcg64::seed_from_u64(key) }
    }

    /// Gives the dice named `label` and `n` under this one; throws made so far do not matter.
    #[must_use]
    pub fn fork(&self, label: &str, n: u64) -> Self {
        let label = label.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| mix(h, u64::from(b)));
        Self::new(mix(mix(self.key, label), n))
    }

    /// The stream's own number, for choices that must be a pure function of time.
    pub fn key(&self) -> u64 {
        self.key
    }

    /// 64 random bits.
    pub fn word(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in [0, n); 0 when `n` is 0. The bias of the multiplication is below 2^-32 for every `n` used here.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.word()) * u128::from(n)) >> 64) as u64
    }

    /// Uniform in [low, high], both ends included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1).max(1) as u64) as i64
    }

    /// Uniform in [low, high).
    pub fn real(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// True in that share of throws.
    pub fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// One of `items`, which must not be empty.
    #[expect(clippy::indexing_slicing, reason = "below their number, and the caller promises there is one")]
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }

    /// Standard normal (Box and Muller 1958; the second value is thrown away).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Log-normal by its median; `sigma` is the spread of the logarithm. Sizes on networks are near this form.
    pub fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        median * (sigma * self.normal()).exp()
    }

    /// Exponential by its mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// Poisson: Knuth's product for small means, the rounded normal above 30.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        if mean > 30.0 {
            return mean.sqrt().mul_add(self.normal(), mean).round().max(0.0) as u64;
        }
        let limit = (-mean).exp();
        let mut product = self.unit();
        let mut n = 0;
        while product > limit {
            product *= self.unit();
            n += 1;
        }
        n
    }

    /// Puts items into random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u64 + 1) as usize);
        }
    }

    /// `n` lower-case hexadecimal digits, as in AWS identifiers.
    pub fn hex(&mut self, n: usize) -> String {
        (0..n).map(|_| char::from_digit(self.below(16) as u32, 16).unwrap_or('0')).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forks_depend_on_names_alone() {
        let mut thrown = Dice::new(7);
        thrown.word();
        assert_eq!(thrown.fork("day", 3).word(), Dice::new(7).fork("day", 3).word());
        assert_ne!(thrown.fork("day", 3).word(), thrown.fork("day", 4).word());
        assert_ne!(thrown.fork("day", 3).word(), thrown.fork("week", 3).word());
    }

    #[test]
    fn distributions_have_their_means() {
        let mut dice = Dice::new(1);
        let n = 20_000;
        let mean = |f: &mut dyn FnMut() -> f64| (0..n).map(|_| f()).sum::<f64>() / f64::from(n);
        let mut d = dice.fork("poisson", 0);
        assert!((mean(&mut || d.poisson(4.0) as f64) - 4.0).abs() < 0.1);
        assert!((mean(&mut || d.poisson(100.0) as f64) - 100.0).abs() < 1.0);
        assert!((mean(&mut || d.exponential(5.0)) - 5.0).abs() < 0.2);
        assert!(mean(&mut || dice.normal()).abs() < 0.05);
    }
}
