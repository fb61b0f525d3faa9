//! A part of a whole, as fine as settings can say it.

/// A share in hundredths of a percent ("basis points"), at most the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Share(u16);

impl Share {
    /// The whole, in basis points.
    pub const WHOLE_BASIS_POINTS: u16 = 10_000;

    /// A share of so many basis points; more than the whole is the whole.
    pub const fn from_basis_points(basis_points: u16) -> Self {
        if basis_points > Self::WHOLE_BASIS_POINTS {
            Self(Self::WHOLE_BASIS_POINTS)
        } else {
            Self(basis_points)
        }
    }

    /// In hundredths of a percent.
    pub const fn basis_points(self) -> u16 {
        self.0
    }

    /// Whether `part` is at least this share of `whole`. Nothing never is,
    /// not even of a share of zero.
    pub fn is_reached(self, part: u32, whole: u32) -> bool {
        part > 0
            && u64::from(part) * u64::from(Self::WHOLE_BASIS_POINTS)
                >= u64::from(whole) * u64::from(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_reached_from_its_part_on() {
        let half = Share::from_basis_points(5_000);
        for (part, whole, reached) in [
            (4, 10, false),
            (5, 10, true),
            (6, 11, true),
            (5, 11, false),
            (0, 0, false),
            (u32::MAX, u32::MAX, true),
        ] {
            assert_eq!(half.is_reached(part, whole), reached, "{part} of {whole}");
        }
        assert!(!Share::default().is_reached(0, 10));
        assert!(Share::default().is_reached(1, 10));
        assert_eq!(Share::from_basis_points(60_000).basis_points(), 10_000);
    }
}
