//! Shares.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A share, in hundredths of a percent, 0 to 100 %.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(try_from = "u16", into = "u16")]
pub struct Percent(u16);

impl Percent {
    /// Nobody.
    pub const ZERO: Self = Self(0);
    /// Everybody.
    pub const ALL: Self = Self(Self::STEPS);
    /// How many steps make the whole.
    pub const STEPS: u16 = 10_000;

    /// From hundredths of a percent.
    pub fn from_basis_points(points: u16) -> Result<Self, String> {
        if points > Self::STEPS {
            Err("a share is at most 100%".to_owned())
        } else {
            Ok(Self(points))
        }
    }

    /// In hundredths of a percent.
    pub fn basis_points(self) -> u16 {
        self.0
    }

    /// As percent, to be shown: 0 to 100.
    pub fn percent(self) -> f64 {
        f64::from(self.0) / 100.0
    }

    /// As a part of the whole, to be calculated with: 0 to 1.
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / f64::from(Self::STEPS)
    }

    /// Parses `10%`, `0.25%`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no share: write 0% to 100% in steps of 0.01%");
        let number = text.strip_suffix('%').ok_or_else(wrong)?.trim_end();
        let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty()
            || whole.len() > 3
            || decimals.len() > 2
            || !digits(whole)
            || !digits(decimals)
        {
            return Err(wrong());
        }
        let whole: u16 = whole.parse().map_err(|_| wrong())?;
        let decimals: u16 = format!("{decimals:0<2}").parse().map_err(|_| wrong())?;
        whole
            .checked_mul(100)
            .and_then(|points| points.checked_add(decimals))
            .and_then(|points| Self::from_basis_points(points).ok())
            .ok_or_else(wrong)
    }
}

impl TryFrom<u16> for Percent {
    type Error = String;

    fn try_from(points: u16) -> Result<Self, String> {
        Self::from_basis_points(points)
    }
}

impl From<Percent> for u16 {
    fn from(share: Percent) -> Self {
        share.0
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 100, self.0 % 100) {
            (whole, 0) => write!(f, "{whole}%"),
            (whole, rest) if rest % 10 == 0 => write!(f, "{whole}.{}%", rest / 10),
            (whole, rest) => write!(f, "{whole}.{rest:02}%"),
        }
    }
}
