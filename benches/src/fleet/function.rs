//! Functions: when they run, what they call, and which versions of them exist.

use crate::{
    calendar::{DAY, HOUR, Secs, day_of_month, weekday},
    dice::Dice,
    fleet::Sizes,
};

/// A half-open span of event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: Secs,
    pub(crate) end: Secs,
}

impl Span {
    pub(crate) const ALWAYS: Self = Self { start: Secs::MIN, end: Secs::MAX };

    pub(crate) fn contains(self, at: Secs) -> bool {
        self.start <= at && at < self.end
    }
}

/// One published version.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) code_sha256: String,
    pub(crate) at: Secs,
}

impl Version {
    /// A version of made-up code.
    pub(crate) fn new(dice: &mut Dice, at: Secs) -> Self {
        Self { code_sha256: code_sha256(dice), at }
    }
}

/// A made-up `CodeSha256`: 32 random bytes in base64, as Lambda prints it.
fn code_sha256(dice: &mut Dice) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    // 32 bytes are 43 base64 digits and one pad; the last digit carries only four bits.
    let mut text: String = (0..42).map(|_| char::from(*dice.pick(ALPHABET))).collect();
    text.push(char::from(ALPHABET[4 * dice.below(16) as usize]));
    text.push('=');
    text
}

/// When a function is invoked.
#[derive(Clone, Debug)]
pub(crate) enum Rhythm {
    /// Requests of people: a daily wave around `peak_hour` (UTC), less at weekends, doubling every `doubling_days` if
    /// set.
    Diurnal { per_hour: f64, peak_hour: f64, weekend_share: f64, doubling_days: Option<f64> },
    /// Batches of messages: bursts at random times.
    Queue { bursts_per_day: f64, messages: f64, burst_secs: f64 },
    /// A schedule; `weekday` (Monday 0) and `month_day` narrow it to some days.
    Every { period_secs: Secs, offset_secs: Secs, jitter_secs: f64, weekday: Option<i64>, month_day: Option<i64> },
}

impl Rhythm {
    /// Times of invocation on the day that begins at `midnight`, in order.
    pub(crate) fn invocations(&self, midnight: Secs, fleet_start: Secs, dice: &mut Dice) -> Vec<Secs> {
        let mut times = Vec::new();
        match *self {
            Self::Diurnal { per_hour, peak_hour, weekend_share, doubling_days } => {
                let days = (midnight - fleet_start) as f64 / DAY as f64;
                let growth = doubling_days.map_or(1.0, |doubling| (days / doubling).exp2());
                let week = if weekday(midnight) >= 5 { weekend_share } else { 1.0 };
                // Days differ from each other by about a tenth, as real services do.
                let day = per_hour * growth * week * dice.log_normal(1.0, 0.1);
                for hour in 0..24 {
                    let wave = ((f64::from(hour) - peak_hour) * std::f64::consts::TAU / 24.0).cos();
                    let mean = day * 0.55_f64.mul_add(wave, 0.6);
                    let start = midnight + Secs::from(hour) * HOUR;
                    times.extend((0..dice.poisson(mean)).map(|_| start + dice.below(HOUR as u64) as Secs));
                }
            }
            Self::Queue { bursts_per_day, messages, burst_secs } => {
                for _ in 0..dice.poisson(bursts_per_day) {
                    let mut at = midnight as f64 + dice.real(0.0, DAY as f64);
                    let mean = dice.log_normal(messages, 0.5).min(400.0);
                    for _ in 0..=dice.poisson(mean) {
                        at += dice.exponential(burst_secs / messages.max(1.0));
                        times.push(at as Secs);
                    }
                }
            }
            Self::Every { period_secs, offset_secs, jitter_secs, weekday: on, month_day } => {
                if on.is_some_and(|d| d != weekday(midnight)) || month_day.is_some_and(|d| d != day_of_month(midnight))
                {
                    return times;
                }
                let mut at = midnight + offset_secs % period_secs.max(1);
                while at < midnight + DAY {
                    times.push(at + dice.exponential(jitter_secs) as Secs);
                    at += period_secs.max(1);
                }
            }
        }
        times.retain(|&t| t >= midnight && t < midnight + DAY);
        times.sort_unstable();
        times
    }

    pub(crate) fn is_schedule(&self) -> bool {
        matches!(self, Self::Every { .. })
    }
}

/// One thing a function does when invoked.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) destination: usize,
    /// Share of invocations that make this call.
    pub(crate) share: f64,
    /// Calls of one invocation that makes any.
    pub(crate) n_calls: u32,
    pub(crate) sizes: Sizes,
    /// How long an idle connection is kept for the next call; 0 opens a new one each time.
    pub(crate) keep_alive_secs: Secs,
    pub(crate) active: Span,
    /// During these, every call is retried many times.
    pub(crate) storms: Vec<Span>,
}

/// A Lambda function.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// What it does, in words; `archetype` of the random fleets.
    pub(crate) description: String,
    pub(crate) runtime: &'static str,
    /// Numbers of the (subnet, security-group set) pairs it uses, one for each of its subnets.
    pub(crate) pairs: Vec<usize>,
    pub(crate) dual_stack: bool,
    /// In order of publication; version numbers count from 1.
    pub(crate) versions: Vec<Version>,
    pub(crate) rhythm: Rhythm,
    pub(crate) calls: Vec<Call>,
    /// When it exists and is used.
    pub(crate) active: Vec<Span>,
    /// Execution environments alive at once.
    pub(crate) n_environments: u32,
}

impl Function {
    /// Times of invocation on one day, before anything else is decided about them.
    pub(crate) fn invocations(&self, midnight: Secs, fleet_start: Secs, dice: &Dice) -> Vec<Secs> {
        let mut dice = dice.fork(&self.name, midnight as u64).fork("invocations", 0);
        let mut times = self.rhythm.invocations(midnight, fleet_start, &mut dice);
        times.retain(|&t| self.active.iter().any(|s| s.contains(t)));
        times
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::{FLEET_START, MINUTE};

    fn count(rhythm: &Rhythm, day: i64) -> usize {
        rhythm.invocations(FLEET_START + day * DAY, FLEET_START, &mut Dice::new(day as u64)).len()
    }

    #[test]
    fn schedules_keep_their_days() {
        let every = |period_secs, weekday, month_day| Rhythm::Every {
            period_secs,
            offset_secs: 0,
            jitter_secs: 1.0,
            weekday,
            month_day,
        };
        assert_eq!(count(&every(MINUTE, None, None), 0), 1440);
        assert_eq!(count(&every(DAY, Some(6), None), 5), 0);
        assert_eq!(count(&every(DAY, Some(6), None), 6), 1);
        assert_eq!(count(&every(DAY, None, Some(3)), 1), 1);
    }

    #[test]
    fn growth_doubles() {
        let rhythm =
            Rhythm::Diurnal { per_hour: 100.0, peak_hour: 12.0, weekend_share: 1.0, doubling_days: Some(14.0) };
        let ratio = count(&rhythm, 14) as f64 / count(&rhythm, 0) as f64;
        assert!((1.5..2.7).contains(&ratio), "{ratio}");
    }
}
