//! Letters: the sixteen shapes that can be asked for, and the forms a call-out takes in them.
//!
//! The letters are those of the list of incidents. How a form is played is [`super::shapes`]'s to say.

use std::str::FromStr;

use super::dice::Dice;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// What a call-out looks like, whatever came before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// One small upload to a new network.
    A,
    /// One large upload to a new network.
    B,
    /// One upload to a new network, at a port few use.
    C,
    /// A contact every half hour or so, for days.
    D,
    /// A contact every minute or so, for hours.
    E,
    /// Data in names, asked of a resolver that is not the VPC's.
    F,
    /// Lookups at a public resolver over HTTPS.
    G,
    /// One connection held for hours.
    H,
    /// Several new hosts within a minute.
    I,
    /// A rented host in a cloud the function calls anyway.
    J,
    /// Far more than usual to a provider the function calls anyway.
    K,
    /// A probe in the first week, and the upload a week of silence later.
    L,
    /// A few KB an hour, for days, to a new name behind a CDN.
    P,
    /// Many addresses of the VPC, or many ports of one.
    Q,
    /// Attempts that the function's own security group refuses.
    R,
}

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    /// A call-out, and nothing else.
    Alone(Form),
    /// `S`: a deployment, and a call-out shortly after.
    AfterDeployment,
}

/// What `S`, a call-out shortly after a deployment, may look like.
const AFTER_DEPLOYMENT: [Form; 6] = [Form::A, Form::B, Form::C, Form::D, Form::I, Form::J];

impl Form {
    /// Its letter.
    pub fn letter(self) -> char {
        match self {
            Self::A => 'A',
            Self::B => 'B',
            Self::C => 'C',
            Self::D => 'D',
            Self::E => 'E',
            Self::F => 'F',
            Self::G => 'G',
            Self::H => 'H',
            Self::I => 'I',
            Self::J => 'J',
            Self::K => 'K',
            Self::L => 'L',
            Self::P => 'P',
            Self::Q => 'Q',
            Self::R => 'R',
        }
    }

    /// What it is, in a few words.
    pub fn title(self) -> &'static str {
        match self {
            Self::A => "small upload, new network",
            Self::B => "large upload, new network",
            Self::C => "new network, odd port",
            Self::D => "slow poll",
            Self::E => "fast poll",
            Self::F => "DNS to a foreign resolver",
            Self::G => "DNS over HTTPS",
            Self::H => "connection held for hours",
            Self::I => "several strangers at once",
            Self::J => "stranger in a known cloud",
            Self::K => "upload to a known provider",
            Self::L => "sleeper",
            Self::P => "drip to a new CDN",
            Self::Q => "scan inside the VPC",
            Self::R => "refused attempts",
        }
    }
}

impl Shape {
    /// All shapes, in the order of the list of incidents.
    pub const ALL: [Self; 16] = [
        Self::Alone(Form::A),
        Self::Alone(Form::B),
        Self::Alone(Form::C),
        Self::Alone(Form::D),
        Self::Alone(Form::E),
        Self::Alone(Form::F),
        Self::Alone(Form::G),
        Self::Alone(Form::H),
        Self::Alone(Form::I),
        Self::Alone(Form::J),
        Self::Alone(Form::K),
        Self::Alone(Form::L),
        Self::Alone(Form::P),
        Self::Alone(Form::Q),
        Self::Alone(Form::R),
        Self::AfterDeployment,
    ];

    /// Its letter.
    pub fn letter(self) -> char {
        match self {
            Self::Alone(form) => form.letter(),
            Self::AfterDeployment => 'S',
        }
    }

    /// What it is, in a few words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Alone(form) => form.title(),
            Self::AfterDeployment => "after a deployment",
        }
    }

    /// The form its call-out takes; of several, one is thrown.
    pub fn form(self, dice: &mut Dice) -> Form {
        match self {
            Self::Alone(form) => form,
            Self::AfterDeployment => *dice.pick(&AFTER_DEPLOYMENT),
        }
    }

    /// Seconds it needs to show, before the logs end.
    pub fn room_secs(self) -> i64 {
        match self {
            Self::Alone(Form::D | Form::P) | Self::AfterDeployment => 3 * DAY + 12 * HOUR,
            Self::Alone(Form::E | Form::H) => 36 * HOUR,
            Self::Alone(_) => 12 * HOUR,
        }
    }

    /// All letters, neighbours drawn together: `A to L, P to S`.
    pub fn letters() -> String {
        let letters = Self::ALL.map(Self::letter);
        let runs = letters.chunk_by(|&a, &b| u32::from(a) + 1 == u32::from(b)).map(|run| match run {
            [first, .., last] => format!("{first} to {last}"),
            one => one.iter().collect(),
        });
        runs.collect::<Vec<_>>().join(", ")
    }
}

/// A shape by its letter, of either case.
impl FromStr for Shape {
    type Err = UnknownShape;

    fn from_str(typed: &str) -> Result<Self, UnknownShape> {
        let is_it = |shape: &Self| typed.chars().map(|letter| letter.to_ascii_uppercase()).eq([shape.letter()]);
        Self::ALL.into_iter().find(is_it).ok_or_else(|| UnknownShape { typed: typed.to_owned() })
    }
}

/// No shape has such a letter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no shape `{typed}`")]
pub struct UnknownShape {
    /// As typed.
    pub typed: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_is_found_by_its_letter() {
        for shape in Shape::ALL {
            let letter = shape.letter();
            assert_eq!(letter.to_string().parse(), Ok(shape));
            assert_eq!(letter.to_ascii_lowercase().to_string().parse(), Ok(shape));
        }
        assert!(Shape::ALL.is_sorted_by_key(|shape| shape.letter()) && Shape::ALL.is_sorted());
    }

    #[test]
    fn what_is_no_letter_of_a_shape_is_refused() {
        for typed in ["", "M", "AB", " A", "all", "Ä", "ß"] {
            let unknown = typed.parse::<Shape>().expect_err(typed);
            assert_eq!(unknown.to_string(), format!("there is no shape `{typed}`"));
        }
    }

    #[test]
    fn letters_are_told_in_runs() {
        assert_eq!(Shape::letters(), "A to L, P to S");
    }

    #[test]
    fn only_what_follows_a_deployment_is_thrown() {
        let mut dice = Dice::new(1);
        let untouched = dice.clone().word();
        for shape in Shape::ALL {
            if let Shape::Alone(form) = shape {
                assert_eq!((shape.form(&mut dice), shape.letter()), (form, form.letter()));
            }
        }
        assert_eq!(dice.word(), untouched, "a form that is asked for costs no throw");
        assert!((0..50).all(|_| AFTER_DEPLOYMENT.contains(&Shape::AfterDeployment.form(&mut dice))));
    }
}
